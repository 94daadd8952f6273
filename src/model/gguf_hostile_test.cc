// Bad model files, made by hand: each must be refused with a clear error that names the field,
// quickly, in little memory.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/gguf.h"
#include "model/gguf_builder.h"
#include "model/scratch_folder.h"
#include "model/tiny_model.h"

namespace mill::model {
namespace {

using Bytes = std::vector<std::byte>;
using tensor::DType;

constexpr uint64_t kMiB = 1 << 20;

// Where things stand in a file that small() made: the header, then the key "first", then its value.
constexpr size_t kVersionAt = 4;
constexpr size_t kTensorCountAt = 8;
constexpr size_t kValueCountAt = 16;
constexpr size_t kFirstKeyAt = 24;

GgufBuilder small() {
  GgufBuilder file;
  file.set("first", uint32_t{7}).set("words", std::vector<std::string>{"one", "two"});
  file.add("a", {4, 2}, std::vector<float>(8, 1.0f));
  file.add_zeros("b", {256, 2}, DType::kQ4_K);
  return file;
}

template <class T>
Bytes patched(Bytes bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
  return bytes;
}

Bytes text_bytes(std::string_view text) {
  return ByteWriter().raw(text).take();
}

// The start of an array value: element type and count.
ByteWriter array_head(GgufType type, uint64_t count) {
  ByteWriter out;
  out.put(static_cast<uint32_t>(type)).put(count);
  return out;
}

Bytes with_alignment(uint32_t alignment) {
  return small().set("general.alignment", alignment).build();
}

Bytes with_shape(std::vector<uint64_t> shape, DType dtype = DType::kF32) {
  GgufBuilder file = small();
  file.tensor("a").shape = std::move(shape);
  file.tensor("a").type = static_cast<uint32_t>(dtype);
  return file.build();
}

Bytes with_offset(uint64_t offset) {
  GgufBuilder file = small();
  file.tensor("b").offset = offset;
  return file.build();
}

Bytes with_type(uint32_t type) {
  GgufBuilder file = small();
  file.tensor("b").type = type;
  return file.build();
}

Bytes with_name(std::string name) {
  GgufBuilder file = small();
  file.tensor("b").name = std::move(name);
  return file.build();
}

// `count` named values, to go beyond the limit for real.
Bytes with_many_values(uint64_t count) {
  GgufBuilder file;
  file.value_count = count;
  ByteWriter out;
  out.put(std::span<const std::byte>(file.build()));
  for (uint64_t i = 0; i < count; ++i)
    out.string("k" + std::to_string(i)).put(static_cast<uint32_t>(GgufType::kU8)).put(uint8_t{1});
  return out.take();
}

Bytes with_many_tensors(uint64_t count) {
  GgufBuilder file;
  file.tensor_count = count;
  ByteWriter out;
  out.put(std::span<const std::byte>(file.build()));
  for (uint64_t i = 0; i < count; ++i)
    out.string("t" + std::to_string(i))
        .put(uint32_t{1})
        .put(uint64_t{8})
        .put(uint32_t{0})
        .put(i * 32);
  out.pad_to(32).put(std::span<const std::byte>(Bytes(count * 32)));
  return out.take();
}

struct BadFile {
  const char* name;
  std::function<Bytes()> make;
  Code code;
  const char* param;
  const char* message;  // a part of it
};

const BadFile kBadFiles[] = {
    {"Empty", [] { return Bytes(); }, Code::kCorrupt, "magic", "the file is empty"},
    {"ThreeBytes", [] { return text_bytes("GGU"); }, Code::kCorrupt, "magic", "not a GGUF file"},
    {"WrongMagic", [] { return patched(small().build(), 0, 'g'); }, Code::kCorrupt, "magic",
     "not a GGUF file"},
    {"HeaderOnlyMagic", [] { return text_bytes("GGUF"); }, Code::kCorrupt, "",
     "inside the version"},
    {"Version0", [] { return patched(small().build(), kVersionAt, 0u); }, Code::kUnsupported,
     "version", "GGUF version 0"},
    {"Version1", [] { return patched(small().build(), kVersionAt, 1u); }, Code::kUnsupported,
     "version", "GGUF version 1; versions 2 and 3 can be read"},
    {"Version4", [] { return patched(small().build(), kVersionAt, 4u); }, Code::kUnsupported,
     "version", "GGUF version 4"},
    {"BigEndian", [] { return patched(small().build(), kVersionAt, 0x03000000u); },
     Code::kUnsupported, "version", "big-endian"},
    {"TensorCountAllOnes", [] { return patched(small().build(), kTensorCountAt, ~uint64_t{0}); },
     Code::kCorrupt, "tensor_count", "more than the file can hold"},
    {"TensorCountNegative",
     [] { return patched(small().build(), kTensorCountAt, uint64_t{1} << 63); }, Code::kCorrupt,
     "tensor_count", "more than the file can hold"},
    {"ValueCount32BitsAllOnes",
     [] { return patched(small().build(), kValueCountAt, uint64_t{0xffffffff}); }, Code::kCorrupt,
     "metadata_kv_count", "more than the file can hold"},
    {"ValueCountNegative",
     [] { return patched(small().build(), kValueCountAt, uint64_t{1} << 63); }, Code::kCorrupt,
     "metadata_kv_count", "more than the file can hold"},
    {"OneValueTooFew", [] { return patched(small().build(), kValueCountAt, uint64_t{1}); },
     Code::kCorrupt, "words", "tensor 'words' has 9 dimensions"},
    {"OneTensorTooMany", [] { return patched(small().build(), kTensorCountAt, uint64_t{3}); },
     Code::kCorrupt, "", "the name of tensor 2 is empty"},
    {"TooManyValues", [] { return with_many_values(Gguf::kMaxValues + 1); }, Code::kTooLarge,
     "metadata_kv_count", "the limit is 65536"},
    {"TooManyTensors", [] { return with_many_tensors(Gguf::kMaxTensors + 1); }, Code::kTooLarge,
     "tensor_count", "the limit is 65536"},
    {"KeyLength2To63", [] { return patched(small().build(), kFirstKeyAt, uint64_t{1} << 63); },
     Code::kCorrupt, "", "the key of metadata value 0 says it has 9223372036854775808 bytes"},
    {"KeyLengthMinusOne", [] { return patched(small().build(), kFirstKeyAt, ~uint64_t{0}); },
     Code::kCorrupt, "", "the key of metadata value 0"},
    {"KeyTooLong", [] { return small().set(std::string(70000, 'k'), 1.0f).build(); },
     Code::kTooLarge, "", "the limit is 65535"},
    {"KeyEmpty", [] { return small().set("", uint8_t{1}).build(); }, Code::kCorrupt, "",
     "the key of metadata value 2 is empty"},
    {"KeyTwice",
     [] {
       return small().append("first", GgufType::kU8, ByteWriter().put(uint8_t{1}).bytes()).build();
     },
     Code::kCorrupt, "first", "the key 'first' occurs twice"},
    {"ValueType13",
     [] { return small().set_raw("x", static_cast<GgufType>(13), Bytes(8)).build(); },
     Code::kCorrupt, "x", "unknown type 13"},
    {"ValueTypeAllOnes",
     [] { return small().set_raw("x", static_cast<GgufType>(~0u), Bytes(8)).build(); },
     Code::kCorrupt, "x", "unknown type 4294967295"},
    {"StringLength2To63",
     [] {
       return small()
           .set_raw("x", GgufType::kString, ByteWriter().put(uint64_t{1} << 63).bytes())
           .build();
     },
     Code::kCorrupt, "x", "goes beyond the end"},
    {"ArrayCount2To63",
     [] {
       return small()
           .set_raw("x", GgufType::kArray, array_head(GgufType::kU8, uint64_t{1} << 63).bytes())
           .build();
     },
     Code::kCorrupt, "x", "9223372036854775808 elements"},
    {"ArrayBytesOverflow",
     [] {
       return small()
           .set_raw("x", GgufType::kArray, array_head(GgufType::kU64, uint64_t{1} << 61).bytes())
           .build();
     },
     Code::kCorrupt, "x", "2305843009213693952 elements"},
    {"StringArrayCountHuge",
     [] {
       return small()
           .set_raw("x", GgufType::kArray, array_head(GgufType::kString, uint64_t{1} << 60).bytes())
           .build();
     },
     Code::kCorrupt, "x", "1152921504606846976 elements"},
    {"StringArrayElementHuge",
     [] {
       return small()
           .set_raw("x", GgufType::kArray,
                    array_head(GgufType::kString, 2).string("one").put(~uint64_t{0} - 7).bytes())
           .build();
     },
     Code::kCorrupt, "x", "string 1 of the value 'x' goes beyond"},
    {"HugeArrayInAFileOf51Bytes",
     [] {
       GgufBuilder file;
       file.set_raw("key", GgufType::kArray, array_head(GgufType::kI8, uint64_t{1} << 63).bytes());
       return file.build();
     },
     Code::kCorrupt, "key", "9223372036854775808 elements of type i8, but 0 bytes are left"},
    {"NestedArray",
     [] {
       return small()
           .set_raw("x", GgufType::kArray,
                    array_head(GgufType::kArray, 1).put(0u).put(uint64_t{0}).bytes())
           .build();
     },
     Code::kUnsupported, "x", "an array of arrays"},
    {"BoolTwo",
     [] { return small().set_raw("x", GgufType::kBool, Bytes(1, std::byte{2})).build(); },
     Code::kCorrupt, "x", "neither 0 nor 1"},
    {"BoolTwoInArray",
     [] {
       return small()
           .set_raw("x", GgufType::kArray,
                    array_head(GgufType::kBool, 2).put(uint8_t{1}).put(uint8_t{2}).bytes())
           .build();
     },
     Code::kCorrupt, "x", "neither 0 nor 1"},
    {"Alignment0", [] { return with_alignment(0); }, Code::kCorrupt, "general.alignment",
     "general.alignment is 0; a power of two from 8 to 65536"},
    {"Alignment4", [] { return with_alignment(4); }, Code::kCorrupt, "general.alignment", "is 4;"},
    {"Alignment33", [] { return with_alignment(33); }, Code::kCorrupt, "general.alignment",
     "is 33;"},
    {"Alignment128KiB", [] { return with_alignment(1u << 17); }, Code::kCorrupt,
     "general.alignment", "is 131072;"},
    {"Alignment2To31", [] { return with_alignment(1u << 31); }, Code::kCorrupt, "general.alignment",
     "is 2147483648;"},
    {"AlignmentNegative", [] { return small().set("general.alignment", int32_t{-32}).build(); },
     Code::kCorrupt, "general.alignment", "is i32; an integer from 0"},
    {"AlignmentText", [] { return small().set("general.alignment", "32").build(); }, Code::kCorrupt,
     "general.alignment", "is string"},
    {"SplitFile", [] { return small().set("split.count", uint16_t{3}).build(); },
     Code::kUnsupported, "split.count", "one of 3 parts"},
    {"SplitCountText", [] { return small().set("split.count", "3").build(); }, Code::kCorrupt,
     "split.count", "is string"},
    {"NameEmpty", [] { return with_name(""); }, Code::kCorrupt, "",
     "the name of tensor 1 is empty"},
    {"NameTooLong", [] { return with_name(std::string(65, 'n')); }, Code::kTooLarge, "",
     "the name of tensor 1 has 65 bytes; the limit is 64"},
    {"NameTwice", [] { return with_name("a"); }, Code::kCorrupt, "a", "two tensors 'a'"},
    {"Rank0", [] { return with_shape({}); }, Code::kCorrupt, "a", "0 dimensions"},
    {"Rank5",
     [] {
       return with_shape({1, 1, 1, 1, 1});
     },
     Code::kCorrupt, "a", "5 dimensions"},
    {"DimensionZero",
     [] {
       return with_shape({4, 0});
     },
     Code::kCorrupt, "a", "dimension 1 of tensor 'a' is 0"},
    {"DimensionNegative",
     [] {
       return with_shape({4, ~uint64_t{0}});
     },
     Code::kCorrupt, "a", "dimension 1 of tensor 'a' is -1"},
    {"DimensionsOverflowToZero",
     [] {
       return with_shape({uint64_t{1} << 32, uint64_t{1} << 32});
     },
     Code::kCorrupt, "a", "the file cannot hold that"},
    {"DimensionsOverflowToLittle",
     [] {
       return with_shape({(uint64_t{1} << 62) + 1, 4});
     },
     Code::kCorrupt, "a", "the file cannot hold that"},
    {"DimensionsJustTooLarge",
     [] {
       return with_shape({512, 2});
     },
     Code::kCorrupt, "a", "tensor 'a' needs 4096 bytes"},
    {"RowNotWholeBlocks",
     [] {
       return with_shape({255, 1}, DType::kQ4_K);
     },
     Code::kCorrupt, "a", "rows of 255 values; Q4_K comes in blocks of 256"},
    {"TypeNotBuilt", [] { return with_type(16); }, Code::kUnsupported, "b",
     "tensor 'b' is stored as IQ2_XXS (ggml type 16)"},
    {"TypeRemoved", [] { return with_type(4); }, Code::kUnsupported, "b", "Q4_2"},
    {"TypeUnknown", [] { return with_type(99); }, Code::kUnsupported, "b",
     "an unknown type (ggml type 99)"},
    {"TypeNegative", [] { return with_type(~0u); }, Code::kUnsupported, "b", "4294967295"},
    {"OffsetBeyondTheFile", [] { return with_offset(1 << 20); }, Code::kCorrupt, "b",
     "is the file cut short?"},
    {"OffsetOverflow", [] { return with_offset(~uint64_t{0} - 31); }, Code::kCorrupt, "b",
     "is the file cut short?"},
    {"OffsetUnaligned", [] { return with_offset(33); }, Code::kCorrupt, "b", "no multiple of 32"},
    {"OffsetOverlapping", [] { return with_offset(0); }, Code::kCorrupt, "b",
     "the tensors 'a' and 'b' overlap"},
};

// The most memory that `work` adds to this process, measured in a child so that earlier tests do
// not count.
uint64_t peak_growth(const std::function<void()>& work) {
  const auto status_kib = [](const std::string& field) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
      if (line.starts_with(field + ":"))
        return uint64_t{std::stoull(line.substr(field.size() + 1))};
    return uint64_t{0};
  };
  int ends[2] = {};
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const uint64_t before = status_kib("VmRSS");
    work();
    const uint64_t grown = status_kib("VmHWM") - std::min(before, status_kib("VmHWM"));
    const ssize_t written = ::write(ends[1], &grown, sizeof grown);
    ::_exit(before != 0 && written == sizeof grown ? 0 : 1);
  }
  ::close(ends[1]);
  uint64_t grown = ~uint64_t{0} / 1024;
  EXPECT_EQ(::read(ends[0], &grown, sizeof grown), static_cast<ssize_t>(sizeof grown));
  ::close(ends[0]);
  int status = -1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  return grown * 1024;
}

// Does all that a loader does.
void use(const std::filesystem::path& path) {
  const auto file = Gguf::open(path);
  if (!file) return;
  const auto config = decoder_config_of(*file);
  if (!config) return;
  const Status fits = check_tensors(*file, *config);
  if (!fits) return;
}

class Hostile : public testing::TestWithParam<BadFile> {
 protected:
  ScratchFolder folder_;
};

TEST_P(Hostile, IsRefusedByName) {
  const auto file = Gguf::open(folder_.write("bad.gguf", GetParam().make()));
  ASSERT_FALSE(file);
  const Error& error = file.error();
  EXPECT_EQ(name(error.code), name(GetParam().code)) << error.message;
  EXPECT_EQ(error.param, GetParam().param) << error.message;
  EXPECT_NE(error.message.find(GetParam().message), std::string::npos) << error.message;
  EXPECT_TRUE(error.message.starts_with((folder_.path() / "bad.gguf: ").string())) << error.message;
}

TEST_P(Hostile, TakesLittleMemory) {
  const Bytes bytes = GetParam().make();
  const auto path = folder_.write("bad.gguf", bytes);
  EXPECT_LE(peak_growth([&] { use(path); }), bytes.size() + 64 * kMiB);
}

INSTANTIATE_TEST_SUITE_P(Files, Hostile, testing::ValuesIn(kBadFiles),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(HostileFile, IsRefusedWhereverItIsCutShort) {
  const Bytes whole = small().build();
  ASSERT_TRUE(Gguf::parse(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<long>(size));  // its own allocation
    const auto file = Gguf::parse(cut);
    ASSERT_FALSE(file) << size << " of " << whole.size() << " bytes";
    ASSERT_FALSE(file.error().message.empty());
  }
}

TEST(HostileFile, AnyByteMayBeAnything) {
  for (const char* architecture : {"llama", "gemma3"}) {
    const Bytes whole = tiny_model(architecture, {.layers = 1, .vocabulary = 262}).build();
    const auto good = Gguf::parse(whole);
    ASSERT_TRUE(good);
    ASSERT_TRUE(decoder_config_of(*good));
    const auto head = static_cast<size_t>(good->tensors()[0].data.data() - whole.data());
    int refused = 0;
    for (size_t at = 0; at < head; at += 1) {
      for (const uint8_t bits : {0x01, 0x80, 0xff}) {
        Bytes bytes(whole);
        bytes[at] ^= std::byte{bits};
        const auto file = Gguf::parse(bytes);
        const auto config =
            file ? decoder_config_of(*file) : Result<DecoderConfig>(fail(file.error()));
        const Status fits = config ? check_tensors(*file, *config) : Status(fail(config.error()));
        refused += !fits;
      }
    }
    EXPECT_GT(refused, static_cast<int>(head));  // of 3 * head; names, texts and scores may change
  }
}

TEST(HostileFile, UnprintableBytesDoNotReachTheMessage) {
  GgufBuilder file = small();
  GgufBuilder::Tensor& tensor = file.tensor("b");
  tensor.name = "a\n\x1b[31m\xff";
  tensor.type = 16;
  const auto opened = Gguf::parse(file.build());
  ASSERT_FALSE(opened);
  EXPECT_TRUE(opened.error().message.starts_with("tensor 'a\\x0a\\x1b[31m\\xff' is stored as"))
      << opened.error().message;
}

TEST(HostileFile, TheLargestTablesStayWithinTheMemoryBound) {
  const ScratchFolder folder;
  const Bytes values = with_many_values(Gguf::kMaxValues);
  const auto values_path = folder.write("values.gguf", values);
  ASSERT_TRUE(Gguf::open(values_path));
  EXPECT_LE(peak_growth([&] { use(values_path); }), values.size() + 64 * kMiB);
  const Bytes tensors = with_many_tensors(Gguf::kMaxTensors);
  const auto tensors_path = folder.write("tensors.gguf", tensors);
  ASSERT_TRUE(Gguf::open(tensors_path));
  EXPECT_LE(peak_growth([&] { use(tensors_path); }), tensors.size() + 64 * kMiB);
}

TEST(HostileFile, AMillionEmptyTokensStayWithinTheMemoryBound) {
  const ScratchFolder folder;
  const std::vector<std::string> tokens(Gguf::kMaxArray);
  const std::vector<int8_t> types(Gguf::kMaxArray, 1);
  GgufBuilder builder = tiny_model("llama");
  builder.set("tokenizer.ggml.tokens", tokens).set("tokenizer.ggml.token_type", types);
  const Bytes bytes = builder.build();
  const auto path = folder.write("tokens.gguf", bytes);
  EXPECT_LE(peak_growth([&] { use(path); }), bytes.size() + 64 * kMiB);
}

TEST(HostileFile, AnArrayOverTheLimitIsNotRead) {
  const std::vector<uint8_t> bytes_value(Gguf::kMaxArray + 1);
  const Bytes bytes = small().set("many", bytes_value).build();
  const auto file = Gguf::parse(bytes);
  ASSERT_TRUE(file);
  const auto read = file->array<uint8_t>("many");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kTooLarge);
  EXPECT_EQ(read.error().param, "many");
}

}  // namespace
}  // namespace mill::model
