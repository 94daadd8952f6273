#include "app/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace mill::app {
namespace {

constexpr size_t kErrorTail = 16 << 10;

class Pipe {
 public:
  Pipe() { opened_ = ::pipe2(ends_, O_CLOEXEC) == 0; }
  ~Pipe() {
    close_read();
    close_write();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  bool opened() const { return opened_; }
  int read_end() const { return ends_[0]; }
  int write_end() const { return ends_[1]; }
  void close_read() { close_end(ends_[0]); }
  void close_write() { close_end(ends_[1]); }

 private:
  static void close_end(int& end) {
    if (end >= 0) ::close(end);
    end = -1;
  }
  int ends_[2] = {-1, -1};
  bool opened_ = false;
};

// What the child does between fork and exec; tells `failed` why it could not.
[[noreturn]] void become(const ChildCommand& command, int output, int errors, int failed) {
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  std::signal(SIGPIPE, SIG_DFL);
  for (const auto& [name, value] : command.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> words;
  for (const std::string& word : command.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  if (command.folder.empty() || ::chdir(command.folder.c_str()) == 0)
    ::execvp(words[0], words.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t told = ::write(failed, &error, sizeof error);
  ::_exit(127);
}

// One read from the pipe that poll found ready. False at its end.
bool drain(int from, std::array<std::byte, 1 << 16>& block,
           const std::function<Status(std::span<const std::byte>)>& sink, Status& outcome) {
  const ssize_t got = ::read(from, block.data(), block.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  if (got == 0) return false;
  if (outcome) outcome = sink(std::span(block.data(), static_cast<size_t>(got)));
  return outcome.has_value();
}

// Listens to both pipes until both have ended or `output` has had enough.
Status listen(Pipe& output, Pipe& errors, const ChildCommand& command, std::string& tail) {
  const auto keep_tail = [&](std::span<const std::byte> bytes) -> Status {
    tail.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (tail.size() > 2 * kErrorTail) tail.erase(0, tail.size() - kErrorTail);
    return {};
  };
  auto block = std::make_unique<std::array<std::byte, 1 << 16>>();
  Status outcome;
  while (output.read_end() >= 0 || errors.read_end() >= 0) {
    pollfd ready[2] = {{output.read_end(), POLLIN, 0}, {errors.read_end(), POLLIN, 0}};
    if (::poll(ready, 2, -1) < 0 && errno != EINTR)
      return fail(Code::kIo, fmt::format("poll: {}", std::strerror(errno)));
    if (ready[0].revents != 0 && !drain(output.read_end(), *block, command.output, outcome))
      output.close_read();
    if (ready[1].revents != 0 && !drain(errors.read_end(), *block, keep_tail, outcome))
      errors.close_read();
    if (!outcome) return outcome;
  }
  return outcome;
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<ChildEnd> run_child(const ChildCommand& command) {
  Pipe output;
  Pipe errors;
  Pipe failed;
  if (!output.opened() || !errors.opened() || !failed.opened()) {
    return fail(Code::kIo,
                fmt::format("cannot start {}: {}", command.words.front(), std::strerror(errno)));
  }
  const pid_t child = ::fork();
  if (child < 0)
    return fail(Code::kIo,
                fmt::format("cannot start {}: {}", command.words.front(), std::strerror(errno)));
  if (child == 0) {
    become(command, command.output ? output.write_end() : STDERR_FILENO, errors.write_end(),
           failed.write_end());
  }
  output.close_write();
  errors.close_write();
  failed.close_write();
  if (!command.output) output.close_read();
  int error = 0;
  if (::read(failed.read_end(), &error, sizeof error) == static_cast<ssize_t>(sizeof error)) {
    wait_for(child);
    return fail(error == ENOENT ? Code::kNotFound : Code::kIo,
                fmt::format("cannot start {}: {}", command.words.front(), std::strerror(error)));
  }
  ChildEnd end;
  const Status heard = listen(output, errors, command, end.errors);
  output.close_read();
  errors.close_read();
  if (!heard) ::kill(child, SIGTERM);
  end.exit = wait_for(child);
  if (!heard) return fail(heard.error());
  if (end.errors.size() > kErrorTail) end.errors.erase(0, end.errors.size() - kErrorTail);
  return end;
}

}  // namespace mill::app
