// What this machine can do at most, measured: the limits that speed figures are held against.
#pragma once

#include <optional>
#include <string_view>

#include "tensor/thread_pool.h"

namespace mill::tensor {

// Bytes per second that all threads together read from memory: a buffer far larger than the caches,
// in huge pages, best of a few passes. Nothing without the memory for it (256 MiB). Takes about 0.2
// s.
std::optional<double> measure_read_bytes_per_second(ThreadPool& pool);

// 8-bit multiply-adds per second of all threads together, from registers, with the best instruction
// of this machine for vectors (vpdpbusd on 512 bits, vpmaddubsw on 256, or plain C++). Takes about
// 0.1 s.
double measure_int8_macs_per_second(ThreadPool& pool);

// Likewise multiply-adds of the kind that products of prompts go by: with the path "amx" of bf16 by
// tiles (tdpbf16ps; make_backend("amx") must have succeeded), else the above.
double measure_prompt_macs_per_second(ThreadPool& pool, std::string_view path);

}  // namespace mill::tensor
