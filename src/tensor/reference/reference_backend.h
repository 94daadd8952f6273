// The truth: every operation as its formula says, in f32 with sums in f64, on weights dequantized to f32 and an f32 KV cache.
#pragma once

#include <memory>

#include "tensor/backend.h"

namespace mill::tensor {
std::unique_ptr<Backend> make_reference_backend();
}
