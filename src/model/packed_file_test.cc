#include "model/packed_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "model/packed_checksum.h"
#include "model/scratch_folder.h"
#include "tensor/arena.h"

namespace mill::model {
namespace {

namespace fs = std::filesystem;

std::vector<char> bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void put(const fs::path& path, std::span<const char> bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<long>(bytes.size()));
  ASSERT_TRUE(out.good());
}

class PackedFileTest : public testing::Test {
 protected:
  // Tensors of so many bytes, with random ones in them.
  void make(const std::vector<uint64_t>& sizes) {
    head_ = {.layout = "panel32-1"};
    head_.identity.fill(std::byte{9});
    for (const uint64_t size : sizes) {
      head_.tensors.push_back({.name = "t" + std::to_string(head_.tensors.size()),
                               .rows = 1,
                               .cols = static_cast<int64_t>(size),
                               .bytes = size});
    }
    const std::vector<uint64_t> offsets = head_.offsets();
    room_ = std::move(*tensor::Arena::reserve(offsets.back()));
    truth_ = room_.take(offsets.back());
    std::mt19937 random(11);
    for (size_t i = 0; i < sizes.size(); ++i) {
      for (std::byte& byte : truth_.subspan(offsets[i], sizes[i]))
        byte = static_cast<std::byte>(random());
    }
  }

  Status write() { return write_packed(file_, head_, truth_, pool_, {}); }

  // The error of reading, or none; then the bytes are those that were written.
  Status read() {
    tensor::Arena arena = std::move(*tensor::Arena::reserve(truth_.size()));
    const std::span<std::byte> room = arena.take(truth_.size());
    const Status read = read_packed(file_, head_, room, pool_, {});
    if (read) {
      EXPECT_EQ(std::memcmp(room.data(), truth_.data(), truth_.size()), 0);
    }
    return read;
  }

  // In place.
  void set_byte(size_t at, char value) {
    std::fstream file(file_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<long>(at));
    file.put(value);
    ASSERT_TRUE(file.flush());
  }

  size_t files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()));
  }

  ScratchFolder folder_;
  const fs::path file_ = folder_.path() / "m.packed";
  tensor::ThreadPool pool_{2};
  PackedHead head_;
  tensor::Arena room_;
  std::span<std::byte> truth_;
};

TEST_F(PackedFileTest, ComesBackAsItWas) {
  const std::vector<uint64_t> shapes[] = {
      {1}, {64, 64}, {1000, 1, 63, 65}, {kSumPiece, kSumPiece + 1, 3}, {40 << 20, 77, 5 << 20}};
  for (const std::vector<uint64_t>& sizes : shapes) {
    make(sizes);
    ASSERT_TRUE(write());
    EXPECT_EQ(fs::file_size(file_), head_.file_bytes());
    const Status well = read();
    EXPECT_TRUE(well) << well.error().message;
    EXPECT_EQ(files(), 1u);  // the partial name is gone
  }
}

TEST_F(PackedFileTest, WithoutAFileThereIsNone) {
  make({64});
  EXPECT_EQ(read().error().code, Code::kNotFound);
}

TEST_F(PackedFileTest, IsRefusedCutShortAnywhere) {
  make({700, 64});
  ASSERT_TRUE(write());
  const std::vector<char> whole = bytes_of(file_);
  for (size_t size = whole.size(); size-- > 0;) {
    fs::resize_file(file_, size);
    const Status refused = read();
    ASSERT_FALSE(refused) << size;
    EXPECT_EQ(refused.error().code, Code::kCorrupt);
    EXPECT_NE(refused.error().message.find(file_.string()), std::string::npos);
  }
  std::vector<char> longer = whole;
  longer.push_back(0);
  put(file_, longer);
  EXPECT_FALSE(read());
  put(file_, whole);
  EXPECT_TRUE(read());
}

TEST_F(PackedFileTest, IsRefusedWithAnyBitTurned) {
  make({700, 64});
  ASSERT_TRUE(write());
  const std::vector<char> bytes = bytes_of(file_);
  const uint64_t begin = head_.data_begin();
  std::mt19937 random(3);
  for (size_t at = 0; at < bytes.size(); ++at) {
    const bool in_head = at < packed_head_bytes(2);
    const bool in_data = at >= begin && (at < begin + 700 || at >= begin + 704);
    const auto mask = static_cast<char>(1 << (random() % 8));
    set_byte(at, static_cast<char>(bytes[at] ^ mask));
    // What lies between is never read.
    EXPECT_EQ(!read(), in_head || in_data) << "byte " << at;
    set_byte(at, bytes[at]);
  }
}

TEST_F(PackedFileTest, IsRefusedWithABitTurnedInALargeTensor) {
  make({9 << 20, 5 << 20});
  ASSERT_TRUE(write());
  const std::vector<char> bytes = bytes_of(file_);
  std::mt19937 random(4);
  for (int i = 0; i < 12; ++i) {
    const size_t at = head_.data_begin() + random() % (14 << 20);
    set_byte(at, static_cast<char>(bytes[at] ^ 16));
    const Status refused = read();
    ASSERT_FALSE(refused) << at;
    const char* tensor = at < head_.data_begin() + (9 << 20) ? "t0" : "t1";
    EXPECT_TRUE(refused.error().message.ends_with(tensor)) << refused.error().message;
    set_byte(at, bytes[at]);
  }
}

TEST_F(PackedFileTest, IsRefusedForAnotherModelOrderOrVersion) {
  make({700});
  ASSERT_TRUE(write());
  const PackedHead written = head_;
  head_.identity[0] ^= std::byte{1};
  EXPECT_NE(read().error().message.find("another model"), std::string::npos);
  head_ = written;
  head_.layout = "panel32-2";
  EXPECT_NE(read().error().message.find("panel32-2"), std::string::npos);
  head_ = written;
  head_.tensors[0].rows = 2;
  EXPECT_FALSE(read());
  head_ = written;
  set_byte(8, 2);
  EXPECT_NE(read().error().message.find("version 2"), std::string::npos);
  ASSERT_TRUE(write());  // in its place
  EXPECT_TRUE(read());
}

TEST_F(PackedFileTest, IsRefusedWhereOthersMayWriteIt) {
  make({700});
  ASSERT_TRUE(write());
  ASSERT_EQ(::chmod(file_.c_str(), 0664), 0);
  EXPECT_NE(read().error().message.find("other users"), std::string::npos);
  ASSERT_EQ(::chmod(file_.c_str(), 0644), 0);
  EXPECT_TRUE(read());
  if (::geteuid() != 0) return;
  ASSERT_EQ(::chown(file_.c_str(), 12345, 12345), 0);
  EXPECT_NE(read().error().message.find("another user"), std::string::npos);
}

TEST_F(PackedFileTest, AFolderInItsPlaceIsNoFile) {
  make({700});
  fs::create_directory(file_);
  EXPECT_FALSE(read());
  EXPECT_FALSE(write());
  EXPECT_EQ(files(), 1u);
}

TEST_F(PackedFileTest, AFolderThatMayNotBeWrittenIsTold) {
  make({700});
  put(folder_.path() / "plain", {});
  const fs::path inside = folder_.path() / "plain" / "m.packed";  // not even root can
  const Status failed = write_packed(inside, head_, truth_, pool_, {});
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find(inside.string()), std::string::npos);
  if (::geteuid() == 0) return;
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0555), 0);
  EXPECT_EQ(write().error().code, Code::kPermission);
  ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
}

TEST_F(PackedFileTest, ALimitOfFileSizesIsToldAndNotDiedOf) {
  make({1 << 20});
  rlimit before = {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small = {.rlim_cur = 100'000, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status failed = write();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kIo);
  EXPECT_EQ(files(), 0u);
}

TEST_F(PackedFileTest, AFullDiskIsToldAndLeavesNothing) {
  make({3 << 20});
  if (::mount("none", folder_.path().c_str(), "tmpfs", 0, "size=2m") != 0)
    GTEST_SKIP() << "may not mount a small file system here";
  const Status failed = write();
  const size_t left = files();
  ASSERT_EQ(::umount(folder_.path().c_str()), 0);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("No space left"), std::string::npos);
  EXPECT_EQ(left, 0u);
}

TEST_F(PackedFileTest, IsGivenUpWhenTold) {
  make({24 << 20});
  int calls = 0;
  const OnProgress stop = [&](double) { return ++calls < 3; };
  EXPECT_EQ(write_packed(file_, head_, truth_, pool_, stop).error().code, Code::kCancelled);
  EXPECT_EQ(files(), 0u);
  ASSERT_TRUE(write());
  calls = 1;
  EXPECT_EQ(read_packed(file_, head_, truth_, pool_, stop).error().code, Code::kCancelled);
}

TEST_F(PackedFileTest, ProgressGrowsToOne) {
  make({24 << 20, 100});
  ASSERT_TRUE(write());
  double last = 0;
  const OnProgress grows = [&](double share) {
    EXPECT_GT(share, last);
    last = share;
    return true;
  };
  ASSERT_TRUE(read_packed(file_, head_, truth_, pool_, grows));
  EXPECT_EQ(last, 1);
}

// Writers in each other's way, readers between: whoever finds a file finds a right one.
TEST_F(PackedFileTest, IsWholeWhoeverWritesItAtTheSameTime) {
  make({3 << 20, 100});
  std::atomic<bool> stop = false;
  std::atomic<int> written = 0, found = 0;
  const auto work = [&](bool writes) {
    tensor::ThreadPool pool(1);
    tensor::Arena arena = std::move(*tensor::Arena::reserve(truth_.size()));
    const std::span<std::byte> room = arena.take(truth_.size());
    while (!stop) {
      if (writes) {
        const Status well = write_packed(file_, head_, truth_, pool, {});
        EXPECT_TRUE(well) << well.error().message;
        ++written;
        continue;
      }
      const Status read = read_packed(file_, head_, room, pool, {});
      if (read) {
        EXPECT_EQ(std::memcmp(room.data(), truth_.data(), room.size()), 0);
      } else {
        EXPECT_EQ(read.error().code, Code::kNotFound) << read.error().message;
      }
      found += read.has_value();
    }
  };
  std::vector<std::thread> threads;
  for (const bool writes : {true, false, true, false}) threads.emplace_back(work, writes);
  while (written < 8 || found < 8) std::this_thread::yield();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(files(), 1u);
}

TEST_F(PackedFileTest, WhatADeadProcessLeftIsRemovedAndNothingElse) {
  const auto left = [&](const char* name, bool old) {
    const fs::path path = folder_.path() / name;
    put(path, std::span("x", 1));
    if (old) {
      constexpr timespec kOld[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
      EXPECT_EQ(::utimensat(AT_FDCWD, path.c_str(), kOld, 0), 0);
    }
    return path;
  };
  const fs::path dead = left("a.packed.7-0.partial", true);
  const fs::path fresh = left("b.packed.7-0.partial", false);
  const fs::path busy = left("c.packed.7-0.partial", true);
  const fs::path other = left("film.mp4.partial", true);
  const int lock = ::open(busy.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  remove_left_over(folder_.path());
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(fresh) && fs::exists(busy) && fs::exists(other));
  ::close(lock);
  remove_left_over(folder_.path());
  EXPECT_FALSE(fs::exists(busy));
}

}  // namespace
}  // namespace mill::model
