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

// Writes the key (value) of token `token` of a block: `from` [head_dim] f32, `head` the bytes of
// the head. Touches no byte of another token.
void put_key(const Kernels& kernels, KvType type, const float* from, int64_t head_dim,
             int64_t token, std::byte* head);
void put_value(const Kernels& kernels, KvType type, const float* from, int64_t head_dim,
               int64_t token, std::byte* head);

}  // namespace mill::tensor
