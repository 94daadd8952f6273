#include "tensor/reference/dequantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace mill::tensor {
namespace {

struct Golden {
  std::vector<std::byte> blocks;
  std::vector<float> values;
};

// A file of testdata/quants, in the form that make.py there describes.
Golden golden(DType dtype) {
  const std::string path =
      std::string(MILL_SOURCE_DIR "/testdata/quants/") + std::string(name(dtype)) + ".bin";
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  uint32_t counts[2] = {};
  if (bytes.size() < sizeof counts) {
    ADD_FAILURE() << "cannot read " << path;
    return {};
  }
  std::memcpy(counts, bytes.data(), sizeof counts);
  Golden out;
  out.blocks.resize(counts[0] * static_cast<size_t>(block_bytes(dtype)));
  out.values.resize(counts[1]);
  if (bytes.size() != sizeof counts + out.blocks.size() + out.values.size() * sizeof(float)) {
    ADD_FAILURE() << path << " is cut short";
    return {};
  }
  std::memcpy(out.blocks.data(), bytes.data() + sizeof counts, out.blocks.size());
  std::memcpy(out.values.data(), bytes.data() + sizeof counts + out.blocks.size(),
              out.values.size() * sizeof(float));
  return out;
}

class Dequantize : public testing::TestWithParam<DType> {};

TEST_P(Dequantize, EqualsTheGgufPackageBitForBit) {
  const Golden golden = tensor::golden(GetParam());
  ASSERT_GE(golden.values.size(), 512u);
  std::vector<float> row(golden.values.size());
  dequantize_row(GetParam(), golden.blocks.data(), row);
  int finite = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    finite += std::isfinite(golden.values[i]);
    if (std::isnan(golden.values[i])) {
      ASSERT_TRUE(std::isnan(row[i])) << "value " << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(row[i]), std::bit_cast<uint32_t>(golden.values[i]))
          << "value " << i << ": " << row[i] << ", not " << golden.values[i];
    }
  }
  EXPECT_GT(finite, static_cast<int>(row.size() / 2));
}

TEST_P(Dequantize, ReadsFromAnyAlignmentAndStopsAtTheEnd) {
  const Golden golden = tensor::golden(GetParam());
  const auto one = static_cast<size_t>(block_elements(GetParam()));
  const auto bytes = static_cast<size_t>(block_bytes(GetParam()));
  ASSERT_GE(golden.blocks.size(), bytes);
  std::vector<std::byte> shifted(1 + bytes);
  std::memcpy(shifted.data() + 1, golden.blocks.data() + golden.blocks.size() - bytes, bytes);
  std::vector<float> row(one + 1, 42.0f);
  dequantize_row(GetParam(), shifted.data() + 1, std::span(row).first(one));
  EXPECT_EQ(row[one], 42.0f);
  EXPECT_EQ(std::memcmp(row.data(), golden.values.data() + golden.values.size() - one, one * 4), 0);
}

INSTANTIATE_TEST_SUITE_P(AllTypes, Dequantize, testing::ValuesIn(kAllDTypes),
                         [](const auto& test) { return std::string(name(test.param)); });

}  // namespace
}  // namespace mill::tensor
