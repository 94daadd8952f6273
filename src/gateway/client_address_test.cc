#include "gateway/client_address.h"

#include <gtest/gtest.h>

#include <vector>

namespace mill::gateway {
namespace {

std::string seen(std::string_view peer, std::vector<std::string> forwarded,
                 std::vector<const char*> trusted = {"10.0.0.0/8", "2001:db8::/32"}) {
  net::HttpRequest request;
  bool odd = false;
  for (std::string& value : forwarded) {
    request.headers.push_back({(odd = !odd) ? "X-Forwarded-For" : "x-forwarded-FOR", value});
    request.headers.push_back({"Forwarded", "for=203.0.113.66"});
  }
  std::vector<maas::Cidr> networks;
  for (const char* text : trusted) networks.push_back(*maas::parse_cidr(text));
  return client_address(request, peer, networks);
}

TEST(ClientAddress, WithoutTrustedProxiesTheHeaderIsNothing) {
  EXPECT_EQ(seen("192.0.2.1", {"198.51.100.7"}, {}), "192.0.2.1");
  EXPECT_EQ(seen("10.0.0.1", {"198.51.100.7"}, {}), "10.0.0.1");
}

TEST(ClientAddress, APeerThatIsNoTrustedProxySpeaksForItselfAlone) {
  EXPECT_EQ(seen("192.0.2.1", {"198.51.100.7"}), "192.0.2.1");
  EXPECT_EQ(seen("11.0.0.1", {"10.0.0.1"}), "11.0.0.1");
}

TEST(ClientAddress, TheRightmostAddressThatIsNoProxyIsTheClient) {
  EXPECT_EQ(seen("10.0.0.1", {"198.51.100.7"}), "198.51.100.7");
  EXPECT_EQ(seen("10.0.0.1", {"198.51.100.7, 10.0.0.2"}), "198.51.100.7");
  EXPECT_EQ(seen("::ffff:10.0.0.1", {"198.51.100.7,10.0.0.2 , 10.0.0.3"}), "198.51.100.7");
  EXPECT_EQ(seen("2001:db8::1", {"2001:db9::7, 2001:db8::2"}), "2001:db9::7");
}

TEST(ClientAddress, WhatAClientSendsItselfIsNotBelieved) {
  // The client wrote 127.0.0.1; the proxy added whom it saw.
  EXPECT_EQ(seen("10.0.0.1", {"127.0.0.1, 198.51.100.7"}), "198.51.100.7");
  EXPECT_EQ(seen("10.0.0.1", {"127.0.0.1", "198.51.100.7"}), "198.51.100.7");  // as two lines
  EXPECT_EQ(seen("10.0.0.1", {"10.9.9.9, 198.51.100.7, 10.0.0.2"}), "198.51.100.7");
  EXPECT_EQ(seen("10.0.0.1", {"127.0.0.1", "198.51.100.7, 10.0.0.2"}), "198.51.100.7");
}

TEST(ClientAddress, PortsAreLeftOut) {
  EXPECT_EQ(seen("10.0.0.1", {"198.51.100.7:4711"}), "198.51.100.7");
  EXPECT_EQ(seen("10.0.0.1", {"[2001:db9::7]:4711"}), "2001:db9::7");
  EXPECT_EQ(seen("10.0.0.1", {"[2001:db9::7]"}), "2001:db9::7");
}

TEST(ClientAddress, WhatIsNoAddressIsNobody) {
  EXPECT_EQ(seen("10.0.0.1", {"198.51.100.7, unknown"}), "");
  EXPECT_EQ(seen("10.0.0.1", {"198.51.100.7, _hidden, 10.0.0.2"}), "");
  EXPECT_EQ(seen("10.0.0.1", {"[2001:db9::7"}), "");
  EXPECT_EQ(seen("", {"198.51.100.7"}), "");
}

TEST(ClientAddress, ProxiesAloneAreTheirFirst) {
  EXPECT_EQ(seen("10.0.0.1", {}), "10.0.0.1");
  EXPECT_EQ(seen("10.0.0.1", {""}), "10.0.0.1");
  EXPECT_EQ(seen("10.0.0.1", {" , ,"}), "10.0.0.1");
  EXPECT_EQ(seen("10.0.0.1", {"10.0.0.3, 10.0.0.2"}), "10.0.0.3");
}

}  // namespace
}  // namespace mill::gateway
