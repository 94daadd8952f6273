#include "tensor/dtype.h"

#include "base/check.h"

namespace mill::tensor {
namespace {

struct GgmlType {
  std::string_view name;
  int16_t elements = 0;  // 0: known by name, not built
  int16_t bytes = 0;
};

// Indexed by ggml type number; an empty name is a number that no type has, or has no more.
constexpr std::array<GgmlType, 42> kTypes = {{
    {"F32", 1, 4},         // 0
    {"F16", 1, 2},         // 1
    {"Q4_0", 32, 18},      // 2
    {"Q4_1", 32, 20},      // 3
    {"Q4_2"},              // 4
    {"Q4_3"},              // 5
    {"Q5_0", 32, 22},      // 6
    {"Q5_1", 32, 24},      // 7
    {"Q8_0", 32, 34},      // 8
    {"Q8_1"},              // 9
    {"Q2_K", 256, 84},     // 10
    {"Q3_K", 256, 110},    // 11
    {"Q4_K", 256, 144},    // 12
    {"Q5_K", 256, 176},    // 13
    {"Q6_K", 256, 210},    // 14
    {"Q8_K"},              // 15
    {"IQ2_XXS"},           // 16
    {"IQ2_XS"},            // 17
    {"IQ3_XXS"},           // 18
    {"IQ1_S"},             // 19
    {"IQ4_NL", 32, 18},    // 20
    {"IQ3_S"},             // 21
    {"IQ2_S"},             // 22
    {"IQ4_XS", 256, 136},  // 23
    {"I8"},                // 24
    {"I16"},               // 25
    {"I32"},               // 26
    {"I64"},               // 27
    {"F64"},               // 28
    {"IQ1_M"},             // 29
    {"BF16", 1, 2},        // 30
    {"Q4_0_4_4"},          // 31
    {"Q4_0_4_8"},          // 32
    {"Q4_0_8_8"},          // 33
    {"TQ1_0"},             // 34
    {"TQ2_0"},             // 35
    {"IQ4_NL_4_4"},        // 36
    {"IQ4_NL_4_8"},        // 37
    {"IQ4_NL_8_8"},        // 38
    {"MXFP4"},             // 39
    {"NVFP4"},             // 40
    {"Q1_0"},              // 41
}};

const GgmlType& type_of(DType dtype) {
  return kTypes[static_cast<size_t>(dtype)];
}

}  // namespace

int64_t block_elements(DType dtype) {
  return type_of(dtype).elements;
}

int64_t block_bytes(DType dtype) {
  return type_of(dtype).bytes;
}

int64_t row_bytes(DType dtype, int64_t cols) {
  const GgmlType& type = type_of(dtype);
  MILL_CHECK(cols >= 0 && cols % type.elements == 0);
  return cols / type.elements * type.bytes;
}

std::string_view name(DType dtype) {
  return type_of(dtype).name;
}

std::optional<DType> dtype_of(uint32_t ggml_type) {
  if (ggml_type >= kTypes.size() || kTypes[ggml_type].elements == 0) return std::nullopt;
  return static_cast<DType>(ggml_type);
}

std::string_view ggml_type_name(uint32_t ggml_type) {
  return ggml_type < kTypes.size() ? kTypes[ggml_type].name : std::string_view();
}

}  // namespace mill::tensor
