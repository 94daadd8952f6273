#include "app/heap.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

namespace mill::app {
namespace {

int64_t resident_bytes() {
  int64_t whole = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> whole >> resident;
  return resident * ::sysconf(_SC_PAGESIZE);
}

TEST(HeapTest, WhatIsFreeGoesBackToTheSystem) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer's allocator keeps what is freed";
#endif
  constexpr size_t kPieces = 1 << 20;
  const int64_t before = resident_bytes();
  std::vector<std::string> words;
  for (size_t i = 0; i < kPieces; ++i) words.emplace_back(50, 'x');
  const int64_t full = resident_bytes();
  ASSERT_GT(full - before, 64 << 20);
  std::vector<std::string>().swap(words);
  release_free_memory();
  EXPECT_LT(resident_bytes() - before, (full - before) / 4);
}

TEST(HeapTest, SaysWhose) {
  EXPECT_FALSE(allocator_name().empty());
}

}  // namespace
}  // namespace mill::app
