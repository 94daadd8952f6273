// A client for tests that sends any bytes and sees all that comes back: what an HTTP library would
// hide or mend.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mill::net {

struct RawResponse {
  int status = 0;
  std::string head;  // with its empty line
  std::string body;  // chunks taken apart
  bool whole = false;

  // The value of the header, or "".
  std::string header(const std::string& name) const {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class RawClient {
 public:
  explicit RawClient(uint16_t port, int receive_buffer_bytes = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (receive_buffer_bytes > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  RawClient(RawClient&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        connected_(other.connected_),
        received_(std::move(other.received_)) {}
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { close(); }

  bool connected() const { return connected_; }

  // False when the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }

  // Waits for more bytes. False at the end of the connection or after `seconds`.
  bool receive(double seconds = 10) {
    pollfd ready{fd_, POLLIN, 0};
    if (::poll(&ready, 1, static_cast<int>(seconds * 1000)) <= 0) return false;
    char bytes[65536];
    const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
    if (count <= 0) {
      ended_ = true;
      return false;
    }
    received_.append(bytes, static_cast<size_t>(count));
    return true;
  }

  // Everything up to the server's close (or `seconds` of silence: ended() tells which).
  std::string receive_all(double seconds = 10) {
    while (receive(seconds)) {
    }
    return std::exchange(received_, {});
  }
  bool ended() const { return ended_; }

  // Waits until what was received holds `text`.
  bool receive_until(std::string_view text, double seconds = 10) {
    while (received_.find(text) == std::string::npos) {
      if (!receive(seconds)) return false;
    }
    return true;
  }
  const std::string& received() const { return received_; }

  // The next response; `whole` is false when the connection ended in the middle.
  RawResponse response(bool to_head = false, double seconds = 10) {
    RawResponse response;
    size_t head_end = 0;
    while ((head_end = received_.find("\r\n\r\n")) == std::string::npos) {
      if (!receive(seconds)) return response;
    }
    head_end += 4;
    response.head = received_.substr(0, head_end);
    response.status = std::atoi(response.head.c_str() + 9);
    received_.erase(0, head_end);
    if (to_head || response.status == 204 || response.status == 100) {
      response.whole = true;
    } else if (response.header("Transfer-Encoding") == "chunked") {
      response.whole = take_chunks(response.body, seconds);
    } else if (const std::string length = response.header("Content-Length"); !length.empty()) {
      response.whole = take(std::stoul(length), response.body, seconds);
    } else {
      response.body = receive_all(seconds);
      response.whole = ended_;
    }
    return response;
  }

  // No more will be sent; the answer can still come.
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }

  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  // Closes with a reset.
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close();
  }

 private:
  bool take(size_t count, std::string& into, double seconds) {
    while (received_.size() < count) {
      if (!receive(seconds)) return false;
    }
    into += received_.substr(0, count);
    received_.erase(0, count);
    return true;
  }
  bool take_chunks(std::string& into, double seconds) {
    for (;;) {
      size_t line = 0;
      while ((line = received_.find("\r\n")) == std::string::npos) {
        if (!receive(seconds)) return false;
      }
      const size_t size = std::strtoul(received_.c_str(), nullptr, 16);
      received_.erase(0, line + 2);
      std::string data;
      if (!take(size + 2, data, seconds)) return false;
      if (size == 0) return true;
      into += data.substr(0, size);
    }
  }

  int fd_ = -1;
  bool connected_ = false;
  bool ended_ = false;
  std::string received_;
};

}  // namespace mill::net
