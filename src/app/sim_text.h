// The text side of a simulated model that borrows no vocabulary: one token per byte, and ChatML.
#pragma once

#include "app/open_model.h"
#include "base/result.h"

namespace mill::app {

// 256 bytes, <|endoftext|>, <|im_start|> and <|im_end|>.
Result<ModelText> plain_text_side();

}  // namespace mill::app
