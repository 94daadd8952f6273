// The order of keys and values in a block of the cache on the CPU paths.
//
// One KV head has kv_head_bytes(type, head_dim) of a block for its keys, and as many for its
// values:
//   f32, f16, bf16   keys [head_dim][kBlockTokens], a vector of tokens per dimension;
//                    values [kBlockTokens][head_dim]
//   int8             with width = padded_head_dim(head_dim): keys u8 (code + 128)
//                    [width / 4][kBlockTokens][4 dimensions], values s8
//                    [kBlockTokens / 4][width][4 tokens]; behind either, f32 scale[kBlockTokens]
#pragma once

#include "tensor/cpu/kernels.h"

namespace mill::tensor {

// The keys, or the values, of some KV heads side by side in a block.
struct HeadPlaces {
  KvType type = KvType::kI8;
  int64_t head_dim = 0;
  int64_t count = 0;
  std::byte* first = nullptr;  // the bytes of the first head

  int64_t bytes() const { return static_cast<int64_t>(kv_head_bytes(type, head_dim)); }
};

// What coding takes on the way: of `heads` heads of padded_head_dim numbers, at the start of
// `bytes` bytes, aligned to 64.
struct CodeRoom {
  float* numbers = nullptr;
  float* tops = nullptr;
  int8_t* codes = nullptr;

  static int64_t bytes(int64_t heads, int64_t head_dim) {
    return heads * (padded_head_dim(head_dim) * 5 + 64);
  }
  CodeRoom(std::byte* room, int64_t heads, int64_t head_dim)
      : numbers(reinterpret_cast<float*>(room)),
        tops(numbers + heads * padded_head_dim(head_dim)),
        codes(reinterpret_cast<int8_t*>(tops + heads * 16)) {}
};

// Writes the keys (values) of token `token` of a block: `from` [to.count, head_dim] f32. Touches no
// byte of another token.
void put_keys(const Kernels& kernels, const float* from, const HeadPlaces& to, int64_t token,
              const CodeRoom& room);
void put_values(const Kernels& kernels, const float* from, const HeadPlaces& to, int64_t token,
                const CodeRoom& room);

// Brings these places of the token near.
void fetch_keys(const HeadPlaces& of, int64_t token);
void fetch_values(const HeadPlaces& of, int64_t token);

}  // namespace mill::tensor
