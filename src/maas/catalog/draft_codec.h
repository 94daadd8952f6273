// A BookDraft as bytes: the body of the journal's act "set price book". Pure.
//
// Layout: the bytes 'P' 'B', a format number (1), then the fields of draft.h in their order; a text
// is its length (LEB128) and its bytes, a list its length and its items, an integer a zigzag
// LEB128. A draft of a later format is refused, never guessed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "maas/catalog/draft.h"

namespace mill::maas {

std::string encode(const BookDraft& draft);
// Fails with kCorrupt for bytes that end early, go on after the end or are out of range,
// kUnsupported for another format.
Result<BookDraft> decode_book(std::string_view bytes);

}  // namespace mill::maas
