#include "base/log.h"

#include <gtest/gtest.h>

namespace mill {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

TEST(Log, StringsAreEscaped) {
  EXPECT_EQ(quoted("a\"b\\c\n\t\x01"), R"("a\"b\\c\n\t\u0001")");
  EXPECT_EQ(quoted("无锡"), "\"无锡\"");
}

TEST(Log, InvalidUtf8BecomesTheReplacementCharacter) {
  EXPECT_EQ(quoted("a\xFF"), "\"a\xEF\xBF\xBD\"");
  EXPECT_EQ(quoted("\xE6\x97"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
  EXPECT_EQ(quoted("\xC0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");  // an overlong NUL
}

TEST(Log, ALineIsOneWriteOfOneJsonObject) {
  testing::internal::CaptureStderr();
  log_info("request").add("path", "/v1\n{\"level\":\"forged\"}").add("status", 200).add("slow", false);
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_NE(line.find(R"("path":"/v1\n{\"level\":\"forged\"}","status":200,"slow":false})"), std::string::npos);
}

}  // namespace
}  // namespace mill
