#include "app/yaml.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <set>

namespace mill::app {
namespace {

Code code_of(int error) {
  if (error == ENOENT || error == ENOTDIR) return Code::kNotFound;
  if (error == EACCES || error == EPERM) return Code::kPermission;
  return Code::kIo;
}

}  // namespace

Result<std::string> read_small_file(const std::filesystem::path& path, size_t limit) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) {
    return fail(code_of(errno),
                fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
  }
  struct stat info {};
  std::string text;
  Status outcome;
  if (::fstat(file, &info) != 0 || !S_ISREG(info.st_mode)) {
    outcome = fail(Code::kInvalid, fmt::format("{} is not a regular file", path.string()));
  }
  char block[65536];
  while (outcome) {
    const ssize_t got = ::read(file, block, sizeof block);
    if (got == 0) break;
    if (got < 0) {
      if (errno == EINTR) continue;
      outcome =
          fail(Code::kIo, fmt::format("cannot read {}: {}", path.string(), std::strerror(errno)));
    } else if (text.size() + static_cast<size_t>(got) > limit) {
      outcome =
          fail(Code::kTooLarge, fmt::format("{} is larger than {} bytes", path.string(), limit));
    } else {
      text.append(block, static_cast<size_t>(got));
    }
  }
  ::close(file);
  if (!outcome) return fail(std::move(outcome).error());
  return text;
}

Result<YAML::Node> parse_yaml(const std::string& text, const std::string& name) {
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(text);
    if (documents.size() > 1) {
      return fail(Code::kInvalid, fmt::format("{} holds more than one YAML document", name));
    }
    return documents.empty() ? YAML::Node() : documents.front();
  } catch (const YAML::Exception& wrong) {
    return fail(Code::kInvalid,
                fmt::format("{}:{}: this is no valid YAML: {}", name,
                            wrong.mark.is_null() ? 1 : wrong.mark.line + 1, wrong.msg));
  } catch (const std::exception& wrong) {
    return fail(Code::kInvalid, fmt::format("{}: this is no valid YAML: {}", name, wrong.what()));
  }
}

Result<std::vector<YamlField>> yaml_fields(const YAML::Node& node, const std::string& name,
                                           const std::string& what) {
  if (!node.IsMap()) {
    return fail(Code::kInvalid, fmt::format("{}:{}: {} must be a map of names to values, not {}",
                                            name, line_of(node), what, shape_of(node)));
  }
  std::vector<YamlField> fields;
  std::set<std::string> seen;
  for (const auto& pair : node) {
    const int line = line_of(pair.first);
    if (!pair.first.IsScalar()) {
      return fail(Code::kInvalid, fmt::format("{}:{}: a name in {} must be plain text, not {}",
                                              name, line, what, shape_of(pair.first)));
    }
    std::string key = pair.first.Scalar();
    if (!seen.insert(key).second) {
      return fail(Code::kInvalid, fmt::format("{}:{}: '{}' is given twice", name, line, key), key);
    }
    fields.push_back({std::move(key), pair.second, line});
  }
  return fields;
}

int line_of(const YAML::Node& node) {
  const YAML::Mark mark = node.Mark();
  return mark.is_null() ? 1 : mark.line + 1;
}

std::string shape_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      return "text";
    case YAML::NodeType::Sequence:
      return "a list";
    case YAML::NodeType::Map:
      return "a map";
    default:
      return "nothing";
  }
}

}  // namespace mill::app
