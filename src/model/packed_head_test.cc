#include "model/packed_head.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/packed_checksum.h"

namespace mill::model {
namespace {

PackedHead some_head() {
  PackedHead head{.layout = "panel32-1"};
  for (size_t i = 0; i < head.identity.size(); ++i)
    head.identity[i] = static_cast<std::byte>(3 * i + 1);
  head.tensors = {{"token_embd.weight", tensor::DType::kQ8_0, 300, 64, 20480, 0x0123456789ABCDEF},
                  {"blk.0.attn_q.weight", tensor::DType::kF32, 33, 5, 1280, 7},
                  {"blk.0.attn_k.weight", tensor::DType::kQ6_K, 1, 256, 6721, ~uint64_t{0}}};
  return head;
}

void make_sum_right(std::vector<std::byte>& bytes) {
  const uint64_t sum = checksum(std::span(bytes).first(bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, &sum, 8);
}

TEST(PackedHeadTest, IsReadAsItWasWritten) {
  const PackedHead head = some_head();
  const std::vector<std::byte> bytes = encode(head);
  EXPECT_EQ(bytes.size(), packed_head_bytes(3));
  const auto read = decode_packed_head(bytes, head.file_bytes());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, head);
  EXPECT_EQ(difference(head, *read), "");
  EXPECT_EQ(head.offsets(), (std::vector<uint64_t>{0, 20480, 21760, 28544}));
  EXPECT_EQ(head.data_begin(), 4096u);
  EXPECT_EQ(head.file_bytes(), 4096u + 28544);
}

// docs/formats/packed.md, by hand.
TEST(PackedHeadTest, HasTheBytesOfTheDocument) {
  const std::vector<std::byte> bytes = encode(some_head());
  const auto number = [&](size_t at, size_t size) {
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<uint64_t>(bytes[at + i]);
    return value;
  };
  const auto text = [&](size_t at) { return reinterpret_cast<const char*>(bytes.data() + at); };
  EXPECT_EQ(std::memcmp(bytes.data(), "MILLPACK", 8), 0);
  EXPECT_EQ(number(8, 4), 1u);
  EXPECT_EQ(number(12, 4), 3u);
  EXPECT_EQ(number(16, 8), 4096u + 28544);
  EXPECT_EQ(number(24, 1), 1u);
  EXPECT_EQ(number(39, 1), 46u);
  EXPECT_STREQ(text(40), "panel32-1");
  EXPECT_EQ(number(56, 8), 0u);
  EXPECT_STREQ(text(64), "token_embd.weight");
  EXPECT_EQ(number(128, 4), 8u);  // ggml's number of Q8_0
  EXPECT_EQ(number(132, 4), 0u);
  EXPECT_EQ(number(136, 8), 300u);
  EXPECT_EQ(number(144, 8), 64u);
  EXPECT_EQ(number(152, 8), 20480u);
  EXPECT_EQ(number(160, 8), 0x0123456789ABCDEFu);
  EXPECT_STREQ(text(64 + 104), "blk.0.attn_q.weight");
  EXPECT_EQ(number(64 + 3 * 104, 8), checksum(std::span(bytes).first(bytes.size() - 8)));
}

TEST(PackedHeadTest, IsRefusedAtEveryLengthButItsOwn) {
  const PackedHead head = some_head();
  const std::vector<std::byte> bytes = encode(head);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(decode_packed_head(std::span(bytes).first(size), head.file_bytes())) << size;
  for (const uint64_t file_bytes : {uint64_t{0}, head.file_bytes() - 1, head.file_bytes() + 1})
    EXPECT_FALSE(decode_packed_head(bytes, file_bytes)) << file_bytes;
}

TEST(PackedHeadTest, IsRefusedWithAnyBitTurned) {
  const PackedHead head = some_head();
  std::vector<std::byte> bytes = encode(head);
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    const auto mask = static_cast<std::byte>(1 << (bit % 8));
    bytes[bit / 8] ^= mask;
    const auto read = decode_packed_head(bytes, head.file_bytes());
    ASSERT_FALSE(read) << "bit " << bit;
    EXPECT_EQ(read.error().code, Code::kCorrupt);
    bytes[bit / 8] ^= mask;
  }
}

TEST(PackedHeadTest, ALieIsRefusedUnderARightChecksum) {
  const struct {
    const char* what;
    size_t at;
    std::vector<int> bytes;
  } lies[] = {
      {"another version", 8, {2}},
      {"more tensors than there are", 12, {4}},
      {"four billion tensors", 12, {255, 255, 255, 255}},
      {"no layout", 40, {0}},
      {"a layout without an end", 40, std::vector<int>(16, 'x')},
      {"something in the zeros behind the layout", 55, {1}},
      {"something in the reserved bytes", 60, {1}},
      {"a name with a line break", 66, {10}},
      {"a name without an end", 64, std::vector<int>(64, 'x')},
      {"no such type", 128, {250}},
      {"something in a tensor's reserved bytes", 133, {1}},
      {"no rows", 136, std::vector<int>(8, 0)},
      {"negative columns", 144, std::vector<int>(8, 255)},
      {"no bytes", 152, std::vector<int>(8, 0)},
      {"bytes that overflow", 152, std::vector<int>(8, 255)},
      {"more bytes than the file has", 152, {1}},
  };
  for (const auto& lie : lies) {
    std::vector<std::byte> bytes = encode(some_head());
    for (size_t i = 0; i < lie.bytes.size(); ++i)
      bytes[lie.at + i] = static_cast<std::byte>(lie.bytes[i]);
    make_sum_right(bytes);
    const auto read = decode_packed_head(bytes, some_head().file_bytes());
    // One byte more in a tensor may be hidden by the rounding: then it is another tensor.
    EXPECT_TRUE(!read || !difference(some_head(), *read).empty()) << lie.what;
  }
}

TEST(PackedHeadTest, WhatDiffersIsSaid) {
  const struct {
    const char* says;
    std::function<void(PackedHead&)> change;
  } cases[] = {
      {"another model", [](PackedHead& h) { h.identity[15] ^= std::byte{1}; }},
      {"the order rows-1, not panel32-1", [](PackedHead& h) { h.layout = "rows-1"; }},
      {"has 2 tensors, not 3", [](PackedHead& h) { h.tensors.pop_back(); }},
      {"blk.0.attn_q.weight", [](PackedHead& h) { h.tensors[1].rows = 34; }},
      {"blk.0.attn_k.weight", [](PackedHead& h) { h.tensors[2].name = "blk.1.attn_k.weight"; }},
      {"token_embd.weight", [](PackedHead& h) { h.tensors[0].dtype = tensor::DType::kQ4_0; }},
  };
  for (const auto& one : cases) {
    PackedHead other = some_head();
    one.change(other);
    EXPECT_NE(difference(some_head(), other).find(one.says), std::string::npos)
        << difference(some_head(), other);
  }
}

// The numbers are of the xxhsum program (0.8.1): `printf … | xxhsum -H3`.
TEST(PackedChecksumTest, IsXxh3) {
  const auto of = [](std::string_view text) { return checksum(std::as_bytes(std::span(text))); };
  EXPECT_EQ(of(""), 0x2d06800538d394c2u);
  EXPECT_EQ(joined_checksum({}), of(""));
  const uint64_t pieces[] = {0x6867666564636261, 0x706f6e6d6c6b6a69};
  EXPECT_EQ(joined_checksum(pieces), of("abcdefghijklmnop"));
}

}  // namespace
}  // namespace mill::model
