#include "maas/catalog/draft_codec.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "maas/catalog/book_for_test.h"

namespace mill::maas {
namespace {

TEST(DraftCodec, ComesBackAsItWas) {
  BookDraft draft = book_for_test();
  draft.note = std::string("with \0 zero", 11);
  draft.models[0].context_tokens = -5;
  draft.models[1].max_output_tokens = std::numeric_limits<int64_t>::min();
  draft.models[2].description = std::string(100'000, 'x');
  const auto back = decode_book(encode(draft));
  ASSERT_TRUE(back);
  EXPECT_TRUE(*back == draft);
  EXPECT_TRUE(*decode_book(encode(BookDraft{})) == BookDraft{});
}

TEST(DraftCodec, TheBytesStayTheBytes) {
  // Journals live longer than programs: these bytes are format 1 for ever.
  BookDraft draft{.note = "n", .models = {{.id = "m", .context_tokens = 300}}};
  EXPECT_EQ(encode(draft), std::string("PB\x01"
                                       "\x00"                      // effective_from
                                       "\x01n"                     // note
                                       "\x00"                      // bands
                                       "\x01\x01m"                 // one model, its id
                                       "\x00\x00\x00\x00\x00\x00"  // description … replacement
                                       "\xd8\x04"                  // 300, zigzag
                                       "\x00\x00",                 // max_output_tokens, prices
                                       20));
}

TEST(DraftCodec, EveryCutIsRefused) {
  const std::string whole = encode(book_for_test());
  for (size_t size = 0; size < whole.size(); ++size)
    ASSERT_FALSE(decode_book(std::string_view(whole).substr(0, size))) << size;
  EXPECT_EQ(decode_book(whole + '\0').error().code, Code::kCorrupt);
  std::string later = whole;
  later[2] = 2;
  EXPECT_EQ(decode_book(later).error().code, Code::kUnsupported);
}

TEST(DraftCodec, RandomDamageIsAnErrorOrAnotherBookAndNeverMore) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const std::string whole = encode(book_for_test());
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = whole;
    for (uint32_t n = 1 + random() % 4; n > 0; --n) bytes[random() % bytes.size()] = char(random());
    const auto book = decode_book(bytes);
    if (book) {
      EXPECT_TRUE(*decode_book(encode(*book)) == *book);
    }
  }
}

}  // namespace
}  // namespace mill::maas
