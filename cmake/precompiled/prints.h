// How GoogleTest prints the types that tests compare most: compiled once, in prints.cc, and not in
// each test.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#define MILL_PRINTS(prefix)                                                  \
  prefix template std::string testing::PrintToString(const int&);            \
  prefix template std::string testing::PrintToString(const unsigned&);       \
  prefix template std::string testing::PrintToString(const long&);           \
  prefix template std::string testing::PrintToString(const unsigned long&);  \
  prefix template std::string testing::PrintToString(const double&);         \
  prefix template std::string testing::PrintToString(const bool&);           \
  prefix template std::string testing::PrintToString(const std::nullptr_t&); \
  prefix template std::string testing::PrintToString(const char* const&);    \
  prefix template std::string testing::PrintToString(const void* const&);    \
  prefix template std::string testing::PrintToString(const std::string&);    \
  prefix template std::string testing::PrintToString(const std::string_view&);

MILL_PRINTS(extern)
