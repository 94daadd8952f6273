#include "sim/profile.h"

#include <gtest/gtest.h>

namespace mill::sim {
namespace {

Profile read(std::string_view text) {
  auto profile = parse_profile(text);
  EXPECT_TRUE(profile.has_value()) << text << ": " << profile.error().message;
  return profile ? *profile : Profile();
}

std::string refusal(std::string_view text) {
  const auto profile = parse_profile(text);
  return profile ? "" : profile.error().message;
}

TEST(Profile, TheNamedOnes) {
  EXPECT_TRUE(read("instant").takes_no_time());
  EXPECT_EQ(read("instant").seconds_of(100000, 32), 0);
  const Profile smollm2 = read("smollm2");
  EXPECT_FALSE(smollm2.takes_no_time());
  EXPECT_NEAR(smollm2.seconds_of(0, 1), 1 / 230.4, 1e-9);
  EXPECT_NEAR(smollm2.seconds_of(0, 32), 32 / 1380.8, 1e-9);
  EXPECT_NEAR(smollm2.seconds_of(1797, 0), 1.0, 1e-3);
  EXPECT_GT(smollm2.seconds_of(0, 12), smollm2.seconds_of(0, 8)) << "between the points";
  EXPECT_LT(smollm2.seconds_of(0, 12), smollm2.seconds_of(0, 16));
  EXPECT_GT(smollm2.seconds_of(0, 64), smollm2.seconds_of(0, 32)) << "behind the last one";
  EXPECT_NEAR(read("qwen-coder").seconds_of(0, 16), 16 / 501.2, 1e-9);
}

TEST(Profile, OneOfItsOwn) {
  const Profile own = read("prefill=1800,step=7ms,per_sequence=0.2ms");
  EXPECT_NEAR(own.seconds_of(0, 1), 0.0072, 1e-9);
  EXPECT_NEAR(own.seconds_of(0, 10), 0.009, 1e-9);
  EXPECT_NEAR(own.seconds_of(180, 10), 0.109, 1e-9);
  EXPECT_NEAR(read("per_sequence=500us").seconds_of(0, 4), 0.002, 1e-9);
  EXPECT_NEAR(read("smollm2,step=1s").seconds_of(0, 9), 1, 1e-9) << "in place of the name's";
  const Profile changed = read("instant,context=500,answer=7,vocabulary=/a/b=c.gguf");
  EXPECT_EQ(changed.context, 500);
  EXPECT_EQ(changed.answer_tokens, 7);
  EXPECT_EQ(changed.vocabulary, "/a/b=c.gguf");
  EXPECT_EQ(changed.faults.kind, Faults::Kind::kNone);
}

TEST(Profile, Faults) {
  const Profile hangs = read("smollm2,hang=3,every=10");
  EXPECT_EQ(hangs.faults.kind, Faults::Kind::kHang);
  EXPECT_EQ(hangs.faults.after, 3);
  EXPECT_EQ(hangs.faults.every, 10);
  EXPECT_EQ(read("instant,die=0").faults.kind, Faults::Kind::kDie);
  EXPECT_EQ(read("instant,fault=0").faults.kind, Faults::Kind::kFault);
  EXPECT_EQ(read("instant,usage=missing").faults.kind, Faults::Kind::kMissing);
  EXPECT_EQ(read("instant,usage=huge").faults.kind, Faults::Kind::kHuge);
  EXPECT_NE(refusal("instant,usage=huge,die=1"), "");
}

TEST(Profile, WhatIsWrongIsNamed) {
  const char* const wrong[] = {"",           "gpt",         "instant,smollm2", "step=7",
                               "step=-1ms",  "step=nanms",  "step=ms",         "step=1e99s",
                               "prefill=-1", "prefill=x",   "prefill=inf",     "context=1",
                               "context=1x", "answer=0",    "every=0",         "usage=none",
                               "fault=-1",   "vocabulary=", "turbo=1",         "instant,"};
  for (const char* text : wrong) {
    if (std::string_view(text) == "instant,") {
      EXPECT_EQ(refusal(text), "") << "a comma behind the last part is no part";
      continue;
    }
    const auto profile = parse_profile(text);
    ASSERT_FALSE(profile.has_value()) << text;
    EXPECT_EQ(profile.error().code, Code::kInvalid);
    const std::string_view field =
        std::string_view(text).substr(0, std::string_view(text).find('='));
    if (field == "instant,smollm2") continue;  // the second part is what is wrong
    EXPECT_NE(profile.error().message.find("'" + std::string(field) + "'"), std::string::npos)
        << profile.error().message;
  }
}

}  // namespace
}  // namespace mill::sim
