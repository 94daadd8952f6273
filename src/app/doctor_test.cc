#include "app/doctor.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace mill::app {
namespace {

// A machine with nothing to complain of.
Checkup healthy() {
  Checkup c;
  c.machine.cpu = "Example 9000";
  c.machine.architecture = "x86_64";
  c.machine.sockets = 1;
  c.machine.cores = c.machine.logical_cpus = c.machine.allowed_cpus = c.machine.usable_cores = 8;
  c.machine.caches = {{1, "Data", 32 << 10, 8}, {3, "Unified", 32 << 20, 1}};
  c.machine.nodes = {{0, 8, int64_t{32} << 30}};
  c.machine.memory_bytes = int64_t{32} << 30;
  c.machine.available_bytes = int64_t{4} << 30;
  c.machine.huge_pages = {"madvise", 2 << 20, 0};
  c.machine.governor = "performance";
  c.threads = 8;
  c.rates = {100e9, 4e12, "avx512_vnni"};
  c.backends = {"avx512", "avx2", "scalar", "reference"};
  return c;
}

Catalogue catalogue() {
  return *Catalogue::load({}, false);
}

TEST(DoctorTest, AHealthyMachineNeedsNoAdvice) {
  EXPECT_TRUE(advice_for(healthy()).empty());
  EXPECT_NE(checkup_text(healthy(), catalogue()).find("Nothing was found"), std::string::npos);
}

TEST(DoctorTest, EachTroubleHasItsSentence) {
  const struct {
    void (*spoil)(Checkup&);
    const char* says;
  } cases[] = {
      {[](Checkup& c) { c.optimised_build = false; }, "no release build"},
      {[](Checkup& c) { c.machine.load = 7.5; }, "(load 7.5 on 8 threads)"},
      {[](Checkup& c) { c.machine.huge_pages.mode = "never"; }, "echo madvise"},
      {[](Checkup& c) { c.machine.governor = "powersave"; }, "governor is powersave"},
      {[](Checkup& c) { c.machine.usable_cores = 2; }, "may use 2 of 8 cores"},
      {[](Checkup& c) { c.machine.cores = 4; }, "--threads 4, one per core"},
      {[](Checkup& c) {
         c.machine.nodes.push_back({1, 8, 1});
       },
       "2 NUMA nodes"},
      {[](Checkup& c) { c.rates.int8_path = "avx2"; }, "no VNNI"},
      {[](Checkup& c) { c.rates.int8_path = "scalar"; }, "no vector instructions"},
      {[](Checkup& c) {
         c.machine.virtual_machine = true;
         c.rates.read_bytes_per_second = 2e9;
       },
       "reads slowly"},
  };
  for (const auto& one : cases) {
    Checkup c = healthy();
    one.spoil(c);
    const std::vector<std::string> advice = advice_for(c);
    ASSERT_EQ(advice.size(), 1u) << one.says;
    EXPECT_NE(advice[0].find(one.says), std::string::npos) << advice[0];
    EXPECT_NE(checkup_text(c, catalogue()).find(advice[0]), std::string::npos);
  }
}

TEST(DoctorTest, TheLargestModelThatFits) {
  const Catalogue all = catalogue();
  EXPECT_EQ(largest_that_fits(all, int64_t{100} << 30)->name, "qwen3-8b");
  EXPECT_EQ(largest_that_fits(all, 310'000'000)->name, "smollm2-135m");
  EXPECT_EQ(largest_that_fits(all, 1000), nullptr);
  Checkup c = healthy();
  c.machine.available_bytes = 1000;
  EXPECT_NE(checkup_text(c, all).find("free some memory"), std::string::npos);
}

TEST(DoctorTest, ThePackedCacheIsNamedWhereThereIsOne) {
  Checkup c = healthy();
  EXPECT_EQ(checkup_text(c, catalogue()).find("packed cache"), std::string::npos);
  EXPECT_TRUE(boost::json::parse(checkup_json(c, catalogue())).at("packed_cache").is_null());
  c.packed_cache = "/var/cache/mill";
  c.packed_cache_limit = 20'000'000'000;
  EXPECT_NE(checkup_text(c, catalogue()).find("/var/cache/mill, nothing there yet; at most 20"),
            std::string::npos);
  c.packed = model::PackedFolder{.files = 2, .bytes = 590'000'000};
  const std::string text = checkup_text(c, catalogue());
  EXPECT_NE(text.find("/var/cache/mill, 2 files with 590"), std::string::npos) << text;
  const boost::json::value json = boost::json::parse(checkup_json(c, catalogue()));
  EXPECT_EQ(json.at("packed_cache").at("folder").as_string(), "/var/cache/mill");
  EXPECT_EQ(json.at("packed_cache").at("bytes").to_number<int64_t>(), 590'000'000);
}

TEST(DoctorTest, JsonHoldsTheFactsEvenOfAnUnknownMachine) {
  Checkup c = healthy();
  c.machine.cpu = "quote \" and back\\slash";
  const boost::json::value parsed = boost::json::parse(checkup_json(c, catalogue()));
  EXPECT_EQ(parsed.at("cpu").as_string(), c.machine.cpu);
  EXPECT_EQ(parsed.at("usable_cores").as_int64(), 8);
  EXPECT_EQ(parsed.at("backends").as_array().size(), 4u);
  EXPECT_TRUE(parsed.at("group_cores").is_null());
  EXPECT_TRUE(boost::json::parse(checkup_json(Checkup{}, catalogue())).is_object());
  EXPECT_FALSE(checkup_text(Checkup{}, catalogue()).empty());
}

}  // namespace
}  // namespace mill::app
