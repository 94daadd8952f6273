#include "engine/sampler/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "base/rng.h"

namespace mill::engine {
namespace {

using work::Sampling;
using Tokens = std::vector<TokenId>;

// The plain way: sort everything, all in double.
struct Reference {
  std::vector<std::pair<TokenId, double>> kept;  // best first, probabilities

  Reference(std::span<const float> logits, const Sampling& s, const Tokens& answer = {},
            const Tokens& prompt = {}) {
    std::vector<float> adjusted(logits.begin(), logits.end());
    std::set<TokenId> seen(prompt.begin(), prompt.end());
    seen.insert(answer.begin(), answer.end());
    for (const TokenId token : seen) {
      float& logit = adjusted[static_cast<size_t>(token)];
      logit = logit > 0 ? logit / s.repetition_penalty : logit * s.repetition_penalty;
    }
    for (const TokenId token : std::set<TokenId>(answer.begin(), answer.end())) {
      const auto count = std::count(answer.begin(), answer.end(), token);
      adjusted[static_cast<size_t>(token)] -=
          s.presence_penalty + s.frequency_penalty * static_cast<float>(count);
    }
    for (const auto& [token, bias] : s.logit_bias) adjusted[static_cast<size_t>(token)] += bias;
    std::vector<TokenId> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    const auto logit = [&](TokenId t) { return adjusted[static_cast<size_t>(t)]; };
    std::stable_sort(order.begin(), order.end(),
                     [&](TokenId a, TokenId b) { return logit(a) > logit(b); });
    if (s.top_k > 0 && s.top_k < std::ssize(order)) order.resize(static_cast<size_t>(s.top_k));
    const double top = logit(order[0]);
    for (const TokenId token : order) {
      kept.emplace_back(token, std::exp((logit(token) - top) / s.temperature));
    }
    normalise();
    if (s.typical_p < 1) keep_typical(s.typical_p);
    double mass = 0;
    size_t count = 0;
    while (count < kept.size() && (count == 0 || mass < s.top_p)) mass += kept[count++].second;
    if (s.top_p < 1) kept.resize(count);
    const double least = kept[0].second * s.min_p;
    std::erase_if(kept, [&](const auto& one) { return one.second < least * (1 - 1e-9); });
    normalise();
  }

  void keep_typical(double share) {
    double entropy = 0;
    for (const auto& [token, p] : kept) entropy -= p > 0 ? p * std::log(p) : 0;
    auto by_distance = kept;
    std::stable_sort(by_distance.begin(), by_distance.end(), [&](const auto& a, const auto& b) {
      return std::abs(-std::log(a.second) - entropy) < std::abs(-std::log(b.second) - entropy);
    });
    double mass = 0;
    size_t count = 0;
    while (count < by_distance.size() && (count == 0 || mass < share)) {
      mass += by_distance[count++].second;
    }
    std::set<TokenId> in;
    for (size_t i = 0; i < count; ++i) in.insert(by_distance[i].first);
    std::erase_if(kept, [&](const auto& one) { return !in.contains(one.first); });
    normalise();
  }

  void normalise() {
    double total = 0;
    for (const auto& one : kept) total += one.second;
    for (auto& one : kept) one.second /= total;
  }

  std::map<TokenId, double> by_token() const { return {kept.begin(), kept.end()}; }
};

std::vector<float> random_row(size_t size, float spread, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> row(size);
  for (float& x : row) x = normal(random);
  return row;
}

class SamplerTest : public ::testing::Test {
 protected:
  TokenId draw(std::span<const float> row, const Sampling& sampling, uint64_t position = 0,
               const Tokens& answer = {}, const Tokens& prompt = {}) {
    Draw one{.logits = row,
             .sampling = &sampling,
             .prompt = prompt,
             .answer = answer,
             .position = position};
    sampler_.run({&one, 1});
    return one.token;
  }

  // The kept tokens and their probabilities, by way of filter().
  std::map<TokenId, double> candidates(std::span<const float> row, const Sampling& sampling) {
    Scratch scratch;
    const double total = filter(row, highest(row).logit, sampling, scratch);
    std::map<TokenId, double> found;
    for (const Candidate& c : scratch.candidates) {
      found[c.token] = static_cast<double>(c.weight) / total;
    }
    EXPECT_EQ(found.size(), scratch.candidates.size()) << "a token was kept twice";
    return found;
  }

  // Whether there was something to compare.
  bool expect_same_set(std::span<const float> row, const Sampling& s) {
    if (!filters(s, std::ssize(row))) return false;
    const auto expected = Reference(row, s).by_token();
    const auto found = candidates(row, s);
    EXPECT_EQ(found.size(), expected.size())
        << row.size() << " T " << s.temperature << " k " << s.top_k << " p " << s.top_p << " m "
        << s.min_p << " typical " << s.typical_p;
    for (const auto& [token, probability] : expected) {
      EXPECT_NEAR(found.contains(token) ? found.at(token) : 0.0, probability, 1e-6) << token;
    }
    return true;
  }

  // Draws often, and compares the counts with the reference's probabilities.
  void expect_distribution(std::span<const float> row, const Sampling& sampling, int draws,
                           const Tokens& answer = {}, const Tokens& prompt = {}) {
    const Reference reference(row, sampling, answer, prompt);
    std::map<TokenId, int> seen;
    for (int i = 0; i < draws; ++i) {
      ++seen[draw(row, sampling, static_cast<uint64_t>(i), answer, prompt)];
    }
    double chi2 = 0;
    double rest = 0;
    double rest_seen = 0;
    int cells = 0;
    for (const auto& [token, probability] : reference.kept) {
      const double expected = probability * draws;
      const double got = seen[token];
      seen.erase(token);
      if (expected < 8) {
        rest += expected;
        rest_seen += got;
        continue;
      }
      chi2 += (got - expected) * (got - expected) / expected;
      ++cells;
    }
    for (const auto& [token, count] : seen) {
      EXPECT_EQ(count, 0) << "token " << token << " was filtered and yet drawn";
    }
    if (rest > 8) {
      chi2 += (rest_seen - rest) * (rest_seen - rest) / rest;
      ++cells;
    }
    const double freedom = std::max(cells - 1, 1);
    EXPECT_LT(chi2, freedom + 5 * std::sqrt(2 * freedom) + 10) << cells << " cells";
  }

  tensor::ThreadPool pool_{2};
  Sampler sampler_{pool_};
};

TEST_F(SamplerTest, GreedyTakesTheFirstOfTheHighest) {
  const Sampling greedy{.temperature = 0};
  EXPECT_EQ(draw(std::vector<float>{1, 5, 5, 2}, greedy), 1);
  EXPECT_EQ(draw(std::vector<float>(3000, -7.0F), greedy), 0);
  const auto row = random_row(50000, 3, 1);
  EXPECT_EQ(draw(row, greedy), std::max_element(row.begin(), row.end()) - row.begin());
}

TEST_F(SamplerTest, BiasAndPenaltiesMoveTheChoice) {
  const std::vector<float> row = {1.0F, 3.0F, 2.5F, 0.0F};
  EXPECT_EQ(draw(row, {.temperature = 0, .logit_bias = {{3, 100}}}), 3);
  EXPECT_EQ(draw(row, {.temperature = 0, .logit_bias = {{1, -100}}}), 2);
  const Tokens once = {1};
  const Tokens often = {1, 1, 2, 1, 1};
  EXPECT_EQ(draw(row, {.temperature = 0, .presence_penalty = 0.4F}, 0, once), 1);
  EXPECT_EQ(draw(row, {.temperature = 0, .presence_penalty = 0.6F}, 0, once), 2);
  EXPECT_EQ(draw(row, {.temperature = 0, .presence_penalty = 1.9F}, 0, often), 1);
  EXPECT_EQ(draw(row, {.temperature = 0, .frequency_penalty = 0.2F}, 0, often), 2);
  EXPECT_EQ(draw(row, {.temperature = 0, .frequency_penalty = -0.2F}, 0, often), 1);
  EXPECT_EQ(draw(row, {.temperature = 0, .repetition_penalty = 1.1F}, 0, once), 1);
  EXPECT_EQ(draw(row, {.temperature = 0, .repetition_penalty = 1.3F}, 0, once), 2);
  EXPECT_EQ(draw(row, {.temperature = 0, .repetition_penalty = 1.3F}, 0, {}, once), 2);
  EXPECT_EQ(draw(row, {.temperature = 0, .presence_penalty = 2}, 0, {}, once), 1);
  const std::vector<float> negative = {-1.0F, -1.1F};
  EXPECT_EQ(draw(negative, {.temperature = 0, .repetition_penalty = 1.2F}, 0, {}, Tokens{0}), 1);
}

TEST_F(SamplerTest, CandidateSetsAreThoseOfTheReference) {
  uint64_t seed = 0;
  int compared = 0;
  for (const float spread : {0.3F, 2.0F, 6.0F}) {
    for (const size_t size : {5, 300, 3000}) {
      const auto row = random_row(size, spread, ++seed);
      for (const float temperature : {0.3F, 1.0F, 2.0F}) {
        for (const int32_t top_k : {0, 1, 7, 200}) {
          for (const float top_p : {0.01F, 0.5F, 0.9F, 0.999F, 1.0F}) {
            for (const float min_p : {0.0F, 0.05F, 0.8F, 1.0F}) {
              compared += expect_same_set(
                  row,
                  {.temperature = temperature, .top_p = top_p, .top_k = top_k, .min_p = min_p});
            }
            for (const float typical_p : {0.05F, 0.4F, 0.95F}) {
              compared += expect_same_set(row, {.temperature = temperature,
                                                .top_p = top_p,
                                                .top_k = top_k,
                                                .min_p = 0.1F,
                                                .typical_p = typical_p});
            }
          }
        }
      }
    }
  }
  EXPECT_GT(compared, 1000);
}

TEST_F(SamplerTest, OfEqualTokensTheFirstOnesStay) {
  const std::vector<float> row(1000, 0.5F);
  const auto by_k = candidates(row, {.top_k = 3});
  ASSERT_EQ(by_k.size(), 3U);
  EXPECT_TRUE(by_k.contains(0) && by_k.contains(1) && by_k.contains(2));
  const auto by_p = candidates(row, {.top_p = 0.25F});
  ASSERT_EQ(by_p.size(), 250U);
  EXPECT_EQ(by_p.begin()->first, 0);
  EXPECT_EQ(by_p.rbegin()->first, 249);
  EXPECT_EQ(candidates(row, {.min_p = 1.0F}).size(), 1000U) << "all are as good as the best";
}

TEST_F(SamplerTest, DrawsFollowTheDistribution) {
  const auto row = random_row(60, 1.5F, 5);
  const int draws = 20000;
  expect_distribution(row, {.seed = 1}, draws);
  expect_distribution(row, {.temperature = 0.5F, .seed = 2}, draws);
  expect_distribution(row, {.temperature = 1.7F, .seed = 3}, draws);
  expect_distribution(row, {.top_p = 0.8F, .seed = 4}, draws);
  expect_distribution(row, {.top_k = 5, .seed = 5}, draws);
  expect_distribution(row, {.min_p = 0.1F, .seed = 6}, draws);
  expect_distribution(
      row, {.temperature = 1.2F, .top_p = 0.9F, .top_k = 30, .min_p = 0.02F, .seed = 7}, draws);
  expect_distribution(row, {.typical_p = 0.7F, .seed = 9}, draws);
  expect_distribution(row,
                      {.presence_penalty = 0.7F,
                       .frequency_penalty = 0.3F,
                       .seed = 8,
                       .logit_bias = {{4, 2.0F}, {5, -3.0F}}},
                      draws, {3, 10, 3});
  expect_distribution(row, {.repetition_penalty = 1.6F, .frequency_penalty = 0.2F, .seed = 10},
                      draws, {3, 10, 3}, {3, 7, 7, 20});
}

TEST_F(SamplerTest, DrawsFromALongRowReachEveryChunk) {
  std::vector<float> row(5000, 0.0F);  // uniform over ten chunks
  std::vector<int> seen(10);
  for (uint64_t i = 0; i < 20000; ++i) {
    ++seen[static_cast<size_t>(draw(row, {.seed = 11}, i) / 512)];
  }
  for (size_t chunk = 0; chunk < 9; ++chunk) EXPECT_NEAR(seen[chunk], 2048, 250) << chunk;
  EXPECT_NEAR(seen[9], 20000 - 9 * 2048, 150);
}

TEST_F(SamplerTest, AVeryLowTemperatureIsGreedyAndATokenWithoutWeightIsNeverDrawn) {
  const auto row = random_row(2000, 2, 9);
  const TokenId best = draw(row, {.temperature = 0});
  for (uint64_t i = 0; i < 200; ++i) {
    EXPECT_EQ(draw(row, {.temperature = 1e-6F}, i), best);
    EXPECT_EQ(draw(row, {.temperature = 1e-40F}, i), best);
    EXPECT_EQ(draw(row, {.temperature = 1e-40F, .top_p = 0.5F, .min_p = 0.1F}, i), best);
  }
  std::vector<float> two(100, -500.0F);
  two[17] = two[71] = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const TokenId token = draw(two, {}, i);
    EXPECT_TRUE(token == 17 || token == 71);
  }
}

TEST_F(SamplerTest, ADrawIsAFunctionOfSeedChoiceAndPosition) {
  const auto row = random_row(1000, 0.5F, 12);
  std::map<TokenId, int> tokens;
  for (uint64_t i = 0; i < 20; ++i) {
    const Sampling s{.seed = 5, .choice = static_cast<uint32_t>(i % 2)};
    const TokenId first = draw(row, s, i);
    EXPECT_EQ(draw(row, s, i), first);
    ++tokens[first];
  }
  EXPECT_GT(tokens.size(), 15U);
}

TEST_F(SamplerTest, LogprobsAreThoseOfTheModelBeforeAnySampling) {
  auto row = random_row(4000, 2, 13);
  row[50] = row[60] = 20;  // a tie at the top
  double total = 0;
  for (const float x : row) total += std::exp(static_cast<double>(x));
  const Sampling s{.temperature = 0.1F, .top_k = 1, .logit_bias = {{7, 100}}, .top_logprobs = 3};
  Draw one{.logits = row, .sampling = &s};
  sampler_.run({&one, 1});
  EXPECT_EQ(one.token, 7);
  ASSERT_TRUE(one.logprob.has_value());
  EXPECT_NEAR(*one.logprob, row[7] - std::log(total), 2e-6 * std::abs(std::log(total)) + 2e-6);
  ASSERT_EQ(one.top.size(), 3U);
  EXPECT_EQ(one.top[0].token, 50);
  EXPECT_EQ(one.top[1].token, 60);
  EXPECT_NEAR(one.top[0].logprob, 20 - std::log(total), 1e-5);

  Draw given{.logits = row, .sampling = &s, .given = 123};
  sampler_.run({&given, 1});
  EXPECT_EQ(given.token, 123);
  EXPECT_NEAR(*given.logprob, row[123] - std::log(total), 1e-5);

  const Sampling quiet{.temperature = 0};
  Draw silent{.logits = row, .sampling = &quiet};
  sampler_.run({&silent, 1});
  EXPECT_FALSE(silent.logprob.has_value());
  EXPECT_TRUE(silent.top.empty());
}

TEST_F(SamplerTest, ARowThatIsNotFiniteGivesNoTokenAndLeavesTheOthersAlone) {
  const Sampling s{.temperature = 0};
  std::vector<std::vector<float>> rows;
  for (int i = 0; i < 40; ++i) rows.push_back(random_row(3000, 1, 50 + static_cast<uint64_t>(i)));
  rows[3][2999] = std::nanf("");
  rows[17][0] = std::numeric_limits<float>::infinity();
  std::vector<Draw> draws;
  for (const auto& row : rows) draws.push_back({.logits = row, .sampling = &s});
  sampler_.run(draws);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto best = std::max_element(rows[i].begin(), rows[i].end()) - rows[i].begin();
    EXPECT_EQ(draws[i].token, i == 3 || i == 17 ? kNoToken : static_cast<TokenId>(best)) << i;
  }
}

TEST_F(SamplerTest, TheBatchAndTheThreadsDoNotMatter) {
  const Sampling s{.temperature = 1.3F, .top_p = 0.95F, .seed = 3};
  std::vector<std::vector<float>> rows;
  for (uint64_t i = 0; i < 32; ++i) rows.push_back(random_row(4000, 1, 90 + i));
  std::vector<Draw> together;
  for (const auto& row : rows) together.push_back({.logits = row, .sampling = &s, .position = 4});
  sampler_.run(together);
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(draw(rows[i], s, 4), together[i].token);
}

TEST(CheckSampling, NamesTheFieldThatIsOutOfBounds) {
  const float nan = std::nanf("");
  const auto field = [](const Sampling& s) {
    const Status checked = check_sampling(s, 100);
    return checked ? std::string("none") : checked.error().param;
  };
  EXPECT_EQ(field({}), "none");
  EXPECT_EQ(field({.temperature = -1}), "temperature");
  EXPECT_EQ(field({.temperature = nan}), "temperature");
  EXPECT_EQ(field({.temperature = std::numeric_limits<float>::infinity()}), "temperature");
  EXPECT_EQ(field({.top_p = 0}), "top_p");
  EXPECT_EQ(field({.top_p = nan}), "top_p");
  EXPECT_EQ(field({.top_k = -1}), "top_k");
  EXPECT_EQ(field({.min_p = 1.5F}), "min_p");
  EXPECT_EQ(field({.presence_penalty = 3}), "presence_penalty");
  EXPECT_EQ(field({.frequency_penalty = nan}), "frequency_penalty");
  EXPECT_EQ(field({.logit_bias = {{100, 1.0F}}}), "logit_bias");
  EXPECT_EQ(field({.logit_bias = {{-1, 1.0F}}}), "logit_bias");
  EXPECT_EQ(field({.logit_bias = {{1, nan}}}), "logit_bias");
  EXPECT_EQ(field({.top_logprobs = 21}), "top_logprobs");
}

}  // namespace
}  // namespace mill::engine
