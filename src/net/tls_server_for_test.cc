#include "net/tls_server_for_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace mill::net {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

// A certificate for localhost that vouches for itself, good for one hour.
Certificate make_certificate(EVP_PKEY* key) {
  Certificate made(X509_new(), &X509_free);
  X509_set_version(made.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 3600);
  X509_set_pubkey(made.get(), key);
  X509_NAME* name = X509_get_subject_name(made.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
  X509_set_issuer_name(made.get(), name);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(made.get(), names, -1);
  X509_EXTENSION_free(names);
  MILL_CHECK(X509_sign(made.get(), key, EVP_sha256()) > 0);
  return made;
}

std::string write_certificate(X509* certificate) {
  char path[] = "/tmp/tokenmill_ca_XXXXXX";
  const int file = ::mkstemp(path);
  MILL_CHECK(file >= 0);
  FILE* out = ::fdopen(file, "w");
  MILL_CHECK(PEM_write_X509(out, certificate) == 1);
  std::fclose(out);
  return path;
}

}  // namespace

std::string TlsServerForTest::Exchange::path() const {
  const size_t begin = head_.find(' ') + 1;
  return head_.substr(begin, head_.find(' ', begin) - begin);
}

std::string TlsServerForTest::Exchange::header(std::string_view name) const {
  const size_t at = head_.find("\r\n" + std::string(name) + ": ");
  if (at == std::string::npos) return "";
  const size_t begin = at + name.size() + 4;
  return head_.substr(begin, head_.find("\r\n", begin) - begin);
}

size_t TlsServerForTest::Exchange::range_from() const {
  const std::string range = header("Range");
  return range.rfind("bytes=", 0) == 0 ? std::strtoull(range.c_str() + 6, nullptr, 10) : 0;
}

std::string TlsServerForTest::Exchange::body() {
  std::string body(std::strtoull(header("Content-Length").c_str(), nullptr, 10), '\0');
  size_t read = 0;
  while (read < body.size()) {
    const int got = SSL_read(tls_, body.data() + read, static_cast<int>(body.size() - read));
    if (got <= 0) break;
    read += static_cast<size_t>(got);
  }
  body.resize(read);
  return body;
}

void TlsServerForTest::Exchange::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const int put =
        SSL_write(tls_, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 16384)));
    if (put <= 0) return;  // the client has left, which is its right
    bytes.remove_prefix(static_cast<size_t>(put));
  }
}

void TlsServerForTest::Exchange::reply(std::string_view status, std::string_view headers,
                                       std::string_view body) {
  send("HTTP/1.1 " + std::string(status) + "\r\nConnection: close\r\n" + std::string(headers) +
       "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n");
  send(body);
}

void TlsServerForTest::Exchange::cut() {
  ::shutdown(socket_, SHUT_WR);
}

void TlsServerForTest::Exchange::reset() {
  const linger now{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  SSL_set_quiet_shutdown(tls_, 1);
}

void TlsServerForTest::Exchange::stall() {
  char byte;
  while (SSL_read(tls_, &byte, 1) > 0) {
  }
}

TlsServerForTest::TlsServerForTest(Handler handler)
    : handler_(std::move(handler)), context_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free) {
  std::signal(SIGPIPE, SIG_IGN);
  const Key key(EVP_EC_gen("P-256"), &EVP_PKEY_free);
  const Certificate certificate = make_certificate(key.get());
  MILL_CHECK(SSL_CTX_use_certificate(context_.get(), certificate.get()) == 1);
  MILL_CHECK(SSL_CTX_use_PrivateKey(context_.get(), key.get()) == 1);
  ca_file_ = write_certificate(certificate.get());
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  MILL_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) == 0);
  MILL_CHECK(::listen(listener_, 16) == 0);
  MILL_CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { serve(); });
}

TlsServerForTest::~TlsServerForTest() {
  ending_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  for (std::thread& worker : workers_) worker.join();
  ::close(listener_);
  ::unlink(ca_file_.c_str());
}

std::string TlsServerForTest::url(std::string_view path) const {
  return "https://localhost:" + std::to_string(port_) + std::string(path);
}

void TlsServerForTest::serve() {
  for (;;) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0 || ending_) {
      if (socket >= 0) ::close(socket);
      return;
    }
    const std::lock_guard lock(mutex_);
    sockets_.push_back(socket);
    workers_.emplace_back([this, socket] { answer(socket); });
  }
}

void TlsServerForTest::answer(int socket) {
  SSL* tls = SSL_new(context_.get());
  SSL_set_fd(tls, socket);
  if (SSL_accept(tls) == 1) {
    std::string head;
    char byte;
    while (head.find("\r\n\r\n") == std::string::npos && SSL_read(tls, &byte, 1) == 1) head += byte;
    Exchange exchange(tls, socket, requests_++, std::move(head));
    handler_(exchange);
    SSL_shutdown(tls);
  }
  SSL_free(tls);
  const std::lock_guard lock(mutex_);
  sockets_.erase(std::find(sockets_.begin(), sockets_.end(), socket));
  ::close(socket);
}

}  // namespace mill::net
