#include "net/partial_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "net/checksum.h"

namespace mill::net {
namespace {

class PartialFileTest : public ::testing::Test {
 protected:
  PartialFileTest() {
    char pattern[] = "/tmp/tokenmill_partial_XXXXXX";
    folder_ = ::mkdtemp(pattern);
    target_ = folder_ / "deep" / "er" / "model.gguf";
  }
  ~PartialFileTest() override { std::filesystem::remove_all(folder_); }

  static Status put(PartialFile& file, std::string_view text) {
    return file.append(std::as_bytes(std::span(text.data(), text.size())));
  }
  std::filesystem::path folder_;
  std::filesystem::path target_;
};

TEST_F(PartialFileTest, AppearsInOneStep) {
  auto file = PartialFile::open(target_);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(put(*file, "hello "));
  ASSERT_TRUE(file->set_note("from somewhere"));
  EXPECT_FALSE(std::filesystem::exists(target_));
  ASSERT_TRUE(put(*file, "world"));
  ASSERT_TRUE(file->commit());
  EXPECT_EQ(*sha256_of_file(target_), sha256_of("hello world"));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(target_.parent_path()), {}), 1);
}

TEST_F(PartialFileTest, KeepsBytesAndNoteForALaterTry) {
  {
    auto file = PartialFile::open(target_);
    ASSERT_TRUE(put(*file, "abc"));
    ASSERT_TRUE(file->set_note("note"));
  }
  auto file = PartialFile::open(target_);
  ASSERT_TRUE(file);
  EXPECT_EQ(file->size(), 3u);
  EXPECT_EQ(file->note(), "note");
  ASSERT_TRUE(file->clear());
  EXPECT_EQ(file->size(), 0u);
  EXPECT_EQ(file->note(), "");
}

TEST_F(PartialFileTest, OneHolderAtATime) {
  auto first = PartialFile::open(target_);
  ASSERT_TRUE(first);
  const auto second = PartialFile::open(target_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kOverloaded);
  EXPECT_NE(second.error().message.find("another process"), std::string::npos);
  ASSERT_TRUE(first->commit());
  EXPECT_TRUE(PartialFile::open(target_));  // the lock went with the finished file
}

TEST_F(PartialFileTest, ALinkInTheWayIsNotFollowed) {
  std::filesystem::create_directories(target_.parent_path());
  std::ofstream(folder_ / "precious") << "precious";
  std::filesystem::create_symlink(folder_ / "precious", target_.string() + ".partial");
  EXPECT_FALSE(PartialFile::open(target_));
  EXPECT_EQ(std::filesystem::file_size(folder_ / "precious"), 8u);
}

TEST_F(PartialFileTest, AFolderInTheWayIsOneSentence) {
  std::filesystem::create_directories(target_.string() + ".partial");
  const auto file = PartialFile::open(target_);
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().message, "");
  std::ofstream(folder_ / "flat") << "x";
  const auto below = PartialFile::open(folder_ / "flat" / "model.gguf");
  ASSERT_FALSE(below);
  EXPECT_NE(below.error().message.find("flat"), std::string::npos);
}

// The largest file is limited in a child, so that writing fails as on a full disk, at once and
// mid-way.
TEST_F(PartialFileTest, AWriteThatFailsIsOneSentenceAndKeepsWhatWasThere) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto file = PartialFile::open(target_);
    const Status failed = put(*file, std::string(150'000, 'x'));
    const bool right = !failed && failed.error().code == Code::kIo &&
                       failed.error().message.find("largest file") != std::string::npos;
    ::_exit(right && file->size() == 100'000 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(std::filesystem::file_size(target_.string() + ".partial"), 100'000u);
  EXPECT_FALSE(std::filesystem::exists(target_));
}

TEST_F(PartialFileTest, RoomIsKnownBefore) {
  auto file = PartialFile::open(target_);
  ASSERT_TRUE(file);
  EXPECT_TRUE(file->check_room(1));
  const Status room = file->check_room(uint64_t{1} << 60);
  ASSERT_FALSE(room);
  EXPECT_NE(room.error().message.find("free"), std::string::npos);
}

TEST(ChecksumTest, KnownAnswers) {
  // FIPS 180-4 examples.
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_FALSE(is_sha256("ba7816bf"));
  EXPECT_FALSE(is_sha256(std::string(64, 'G')));
  EXPECT_FALSE(is_sha256(std::string(64, 'A')));
  EXPECT_EQ(sha256_of_file("/nonexistent/file").error().code, Code::kNotFound);
  EXPECT_EQ(sha256_of_file("/").error().code, Code::kIo);
}

}  // namespace
}  // namespace mill::net
