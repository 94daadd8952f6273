#include "maas/tenancy/cidr.h"

#include <gtest/gtest.h>

#include "maas/tenancy/tenancy_for_test.h"

namespace mill::maas {
namespace {

struct Row {
  const char* network;
  const char* address;
  bool inside;
};

// By Python's ipaddress: networks of many lengths, their first, last and middle address, and the
// ones just outside.
constexpr Row kRows[] = {
    {"0.0.0.0/0", "0.0.0.0", true},
    {"0.0.0.0/0", "255.255.255.255", true},
    {"0.0.0.0/0", "127.255.255.255", true},
    {"0.0.0.0/1", "0.0.0.0", true},
    {"0.0.0.0/1", "127.255.255.255", true},
    {"0.0.0.0/1", "63.255.255.255", true},
    {"0.0.0.0/1", "128.0.0.0", false},
    {"188.0.0.0/7", "188.0.0.0", true},
    {"188.0.0.0/7", "189.255.255.255", true},
    {"188.0.0.0/7", "188.255.255.255", true},
    {"188.0.0.0/7", "187.255.255.255", false},
    {"188.0.0.0/7", "190.0.0.0", false},
    {"91.0.0.0/8", "91.0.0.0", true},
    {"91.0.0.0/8", "91.255.255.255", true},
    {"91.0.0.0/8", "91.127.255.255", true},
    {"91.0.0.0/8", "90.255.255.255", false},
    {"91.0.0.0/8", "92.0.0.0", false},
    {"203.128.0.0/9", "203.128.0.0", true},
    {"203.128.0.0/9", "203.255.255.255", true},
    {"203.128.0.0/9", "203.191.255.255", true},
    {"203.128.0.0/9", "203.127.255.255", false},
    {"203.128.0.0/9", "204.0.0.0", false},
    {"176.192.0.0/15", "176.192.0.0", true},
    {"176.192.0.0/15", "176.193.255.255", true},
    {"176.192.0.0/15", "176.192.255.255", true},
    {"176.192.0.0/15", "176.191.255.255", false},
    {"176.192.0.0/15", "176.194.0.0", false},
    {"241.68.0.0/16", "241.68.0.0", true},
    {"241.68.0.0/16", "241.68.255.255", true},
    {"241.68.0.0/16", "241.68.127.255", true},
    {"241.68.0.0/16", "241.67.255.255", false},
    {"241.68.0.0/16", "241.69.0.0", false},
    {"215.109.0.0/17", "215.109.0.0", true},
    {"215.109.0.0/17", "215.109.127.255", true},
    {"215.109.0.0/17", "215.109.63.255", true},
    {"215.109.0.0/17", "215.108.255.255", false},
    {"215.109.0.0/17", "215.109.128.0", false},
    {"189.105.254.0/23", "189.105.254.0", true},
    {"189.105.254.0/23", "189.105.255.255", true},
    {"189.105.254.0/23", "189.105.254.255", true},
    {"189.105.254.0/23", "189.105.253.255", false},
    {"189.105.254.0/23", "189.106.0.0", false},
    {"166.235.140.0/24", "166.235.140.0", true},
    {"166.235.140.0/24", "166.235.140.255", true},
    {"166.235.140.0/24", "166.235.140.127", true},
    {"166.235.140.0/24", "166.235.139.255", false},
    {"166.235.140.0/24", "166.235.141.0", false},
    {"236.29.125.128/25", "236.29.125.128", true},
    {"236.29.125.128/25", "236.29.125.255", true},
    {"236.29.125.128/25", "236.29.125.191", true},
    {"236.29.125.128/25", "236.29.125.127", false},
    {"236.29.125.128/25", "236.29.126.0", false},
    {"135.176.177.36/31", "135.176.177.36", true},
    {"135.176.177.36/31", "135.176.177.37", true},
    {"135.176.177.36/31", "135.176.177.36", true},
    {"135.176.177.36/31", "135.176.177.35", false},
    {"135.176.177.36/31", "135.176.177.38", false},
    {"7.108.226.239/32", "7.108.226.239", true},
    {"7.108.226.239/32", "7.108.226.239", true},
    {"7.108.226.239/32", "7.108.226.239", true},
    {"7.108.226.239/32", "7.108.226.238", false},
    {"7.108.226.239/32", "7.108.226.240", false},
    {"::/0", "::", true},
    {"::/0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"::/0", "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"8000::/1", "8000::", true},
    {"8000::/1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"8000::/1", "bfff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"8000::/1", "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"7800::/7", "7800::", true},
    {"7800::/7", "79ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"7800::/7", "78ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"7800::/7", "77ff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"7800::/7", "7a00::", false},
    {"8b00::/8", "8b00::", true},
    {"8b00::/8", "8bff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"8b00::/8", "8b7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"8b00::/8", "8aff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"8b00::/8", "8c00::", false},
    {"35b:7398::/31", "35b:7398::", true},
    {"35b:7398::/31", "35b:7399:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"35b:7398::/31", "35b:7398:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"35b:7398::/31", "35b:7397:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"35b:7398::/31", "35b:739a::", false},
    {"478c:281d::/32", "478c:281d::", true},
    {"478c:281d::/32", "478c:281d:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"478c:281d::/32", "478c:281d:7fff:ffff:ffff:ffff:ffff:ffff", true},
    {"478c:281d::/32", "478c:281c:ffff:ffff:ffff:ffff:ffff:ffff", false},
    {"478c:281d::/32", "478c:281e::", false},
    {"c406:9545:8000::/33", "c406:9545:8000::", true},
    {"c406:9545:8000::/33", "c406:9545:ffff:ffff:ffff:ffff:ffff:ffff", true},
    {"c406:9545:8000::/33", "c406:9545:bfff:ffff:ffff:ffff:ffff:ffff", true},
    {"c406:9545:8000::/33", "c406:9545:7fff:ffff:ffff:ffff:ffff:ffff", false},
    {"c406:9545:8000::/33", "c406:9546::", false},
    {"cc11:d357:c30d:8b76::/63", "cc11:d357:c30d:8b76::", true},
    {"cc11:d357:c30d:8b76::/63", "cc11:d357:c30d:8b77:ffff:ffff:ffff:ffff", true},
    {"cc11:d357:c30d:8b76::/63", "cc11:d357:c30d:8b76:ffff:ffff:ffff:ffff", true},
    {"cc11:d357:c30d:8b76::/63", "cc11:d357:c30d:8b75:ffff:ffff:ffff:ffff", false},
    {"cc11:d357:c30d:8b76::/63", "cc11:d357:c30d:8b78::", false},
    {"9e11:5e4b:9e30:691c::/64", "9e11:5e4b:9e30:691c::", true},
    {"9e11:5e4b:9e30:691c::/64", "9e11:5e4b:9e30:691c:ffff:ffff:ffff:ffff", true},
    {"9e11:5e4b:9e30:691c::/64", "9e11:5e4b:9e30:691c:7fff:ffff:ffff:ffff", true},
    {"9e11:5e4b:9e30:691c::/64", "9e11:5e4b:9e30:691b:ffff:ffff:ffff:ffff", false},
    {"9e11:5e4b:9e30:691c::/64", "9e11:5e4b:9e30:691d::", false},
    {"74:5130:21da:8978::/65", "74:5130:21da:8978::", true},
    {"74:5130:21da:8978::/65", "74:5130:21da:8978:7fff:ffff:ffff:ffff", true},
    {"74:5130:21da:8978::/65", "74:5130:21da:8978:3fff:ffff:ffff:ffff", true},
    {"74:5130:21da:8978::/65", "74:5130:21da:8977:ffff:ffff:ffff:ffff", false},
    {"74:5130:21da:8978::/65", "74:5130:21da:8978:8000::", false},
    {"359e:eefb:15c:33b2:df14:61aa::/96", "359e:eefb:15c:33b2:df14:61aa::", true},
    {"359e:eefb:15c:33b2:df14:61aa::/96", "359e:eefb:15c:33b2:df14:61aa:ffff:ffff", true},
    {"359e:eefb:15c:33b2:df14:61aa::/96", "359e:eefb:15c:33b2:df14:61aa:7fff:ffff", true},
    {"359e:eefb:15c:33b2:df14:61aa::/96", "359e:eefb:15c:33b2:df14:61a9:ffff:ffff", false},
    {"359e:eefb:15c:33b2:df14:61aa::/96", "359e:eefb:15c:33b2:df14:61ab::", false},
    {"fb7f:f337:f5ca:e3bf:3729:c619:8000:0/97", "fb7f:f337:f5ca:e3bf:3729:c619:8000:0", true},
    {"fb7f:f337:f5ca:e3bf:3729:c619:8000:0/97", "fb7f:f337:f5ca:e3bf:3729:c619:ffff:ffff", true},
    {"fb7f:f337:f5ca:e3bf:3729:c619:8000:0/97", "fb7f:f337:f5ca:e3bf:3729:c619:bfff:ffff", true},
    {"fb7f:f337:f5ca:e3bf:3729:c619:8000:0/97", "fb7f:f337:f5ca:e3bf:3729:c619:7fff:ffff", false},
    {"fb7f:f337:f5ca:e3bf:3729:c619:8000:0/97", "fb7f:f337:f5ca:e3bf:3729:c61a::", false},
    {"4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9158/127", "4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9158", true},
    {"4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9158/127", "4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9159", true},
    {"4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9158/127", "4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9158", true},
    {"4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9158/127", "4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9157", false},
    {"4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:9158/127", "4a0f:e75d:2a9e:ba0c:df56:1d80:2a75:915a", false},
    {"8a0a:8c96:32ea:6928:f623:6bf2:504b:74ba/128", "8a0a:8c96:32ea:6928:f623:6bf2:504b:74ba", true},
    {"8a0a:8c96:32ea:6928:f623:6bf2:504b:74ba/128", "8a0a:8c96:32ea:6928:f623:6bf2:504b:74ba", true},
    {"8a0a:8c96:32ea:6928:f623:6bf2:504b:74ba/128", "8a0a:8c96:32ea:6928:f623:6bf2:504b:74ba", true},
    {"8a0a:8c96:32ea:6928:f623:6bf2:504b:74ba/128", "8a0a:8c96:32ea:6928:f623:6bf2:504b:74b9", false},
    {"8a0a:8c96:32ea:6928:f623:6bf2:504b:74ba/128", "8a0a:8c96:32ea:6928:f623:6bf2:504b:74bb", false},
};

TEST(Cidr, AgreesWithPython) {
  for (const Row& row : kRows) {
    const auto network = parse_cidr(row.network);
    const auto address = parse_ip(row.address);
    ASSERT_TRUE(network) << row.network;
    ASSERT_TRUE(address) << row.address;
    EXPECT_EQ(network->contains(*address), row.inside) << row.network << " " << row.address;
    EXPECT_EQ(to_string(*network), row.network);
  }
}

TEST(Cidr, RefusesWhatIsNone) {
  for (const char* text :
       {"", "/", "10.0.0.0/", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08",
        "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0.0/8/8", "10.0.0.1/8", "10.0.0/8", "10.0.0.256",
        "010.0.0.1", "0x0a.0.0.1", "10.0.0.0/1e1", "::/129", "::1/127", "fe80::%eth0/64",
        "::ffff:10.0.0.0/104", "localhost", "2001:db8::/4294967328"}) {
    const auto read = parse_cidr(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Code::kInvalid);
    EXPECT_EQ(read.error().param, "ip_allow_list");
  }
  EXPECT_FALSE(parse_cidr(std::string_view("10.0.0.0\0/8", 11)));
  EXPECT_FALSE(parse_cidr(std::string(100'000, '1')));
}

TEST(Cidr, AMappedAddressIsTheIpv4Peer) {
  const auto network = parse_cidr("10.1.0.0/16");
  ASSERT_TRUE(network);
  EXPECT_TRUE(network->contains(*parse_ip("::ffff:10.1.2.3")));
  EXPECT_FALSE(network->contains(*parse_ip("::ffff:10.2.2.3")));
  EXPECT_FALSE(parse_cidr("::/0")->contains(*parse_ip("10.1.2.3")));
  EXPECT_FALSE(parse_cidr("0.0.0.0/0")->contains(*parse_ip("::1")));
  EXPECT_TRUE(parse_cidr("0.0.0.0/0")->contains(*parse_ip("255.255.255.255")));
}

TEST(Cidr, OneAddressAndAZone) {
  EXPECT_EQ(to_string(*parse_cidr("10.0.0.1")), "10.0.0.1/32");
  EXPECT_EQ(to_string(*parse_cidr("::1")), "::1/128");
  EXPECT_TRUE(parse_cidr("fe80::/10")->contains(*parse_ip("fe80::1%eth0")));
  EXPECT_FALSE(parse_ip("10.0.0.1%eth0"));
  EXPECT_FALSE(parse_ip(""));
}

TEST(Cidr, OnlyAddressesOfThePublicInternetArePublic) {
  for (const char* text : {"1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "100.63.255.255",
                           "100.128.0.0", "223.255.255.255", "2606:4700:4700::1111", "::ffff:8.8.8.8"})
    EXPECT_TRUE(is_public(*parse_ip(text))) << text;
  for (const char* text :
       {"0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1",
        "198.51.100.1", "203.0.113.9", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1",
        "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "2002:7f00:1::1", "2001::1",
        "64:ff9b::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "3fff::1"})
    EXPECT_FALSE(is_public(*parse_ip(text))) << text;
}

}  // namespace
}  // namespace mill::maas
