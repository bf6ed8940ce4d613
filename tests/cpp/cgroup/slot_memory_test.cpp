#include "gpuctl/cgroup/slot_memory.hpp"

#include <doctest/doctest.h>

using namespace gpuctl::cgroup;

namespace {

constexpr std::uint64_t kGB = 1024 * kMegabyte;

// A slot of eight cores with 32 GB: 400 MB of it are the margin.
SlotMemory slot(std::uint64_t used) { return {8, used, 32 * kGB, 0, 0, 100 * kGB}; }

JobMemory job(const char* name, unsigned cores, std::uint64_t used, std::uint64_t before,
              std::uint64_t requested) {
  return {name, cores, used, before, requested};
}

std::vector<JobMemory> four_jobs() {
  return {job("1.0", 4, 12 * kGB, 12 * kGB, 16 * kGB), job("2.0", 1, 6 * kGB, 5 * kGB, 4 * kGB),
          job("3.0", 1, 5 * kGB, 1 * kGB, 8 * kGB), job("4.0", 2, 3 * kGB, 0, 1 * kGB)};
}

}  // namespace

TEST_CASE("each policy has its victim; who uses less than 2 GB a core is never one") {
  const std::vector<JobMemory> jobs = four_jobs();
  const SlotMemory full = slot(32 * kGB - 300 * kMegabyte);
  const auto victim = [&](PreemptionPolicy policy) {
    return jobs[choose_victim(full, jobs, policy, Margins())->job].name;
  };
  CHECK(victim(PreemptionPolicy::absolute_use) == "1.0");
  CHECK(victim(PreemptionPolicy::relative_use) == "2.0");
  CHECK(victim(PreemptionPolicy::growth) == "3.0");  // 4.0 grew and exceeds more, and is spared
}

TEST_CASE("nobody goes while the margins are kept, and never the last one") {
  const std::vector<JobMemory> jobs = four_jobs();
  const SlotMemory full = slot(32 * kGB);
  CHECK_FALSE(choose_victim(slot(31 * kGB), jobs, PreemptionPolicy::growth, Margins()));
  CHECK_FALSE(choose_victim(full, {jobs[0]}, PreemptionPolicy::growth, Margins()));
  CHECK_FALSE(choose_victim(full, {}, PreemptionPolicy::growth, Margins()));
  CHECK_FALSE(choose_victim(full, {jobs[3], jobs[3]}, PreemptionPolicy::growth, Margins()));
  CHECK_FALSE(choose_victim(SlotMemory(), jobs, PreemptionPolicy::growth, Margins()));
}

TEST_CASE("the evidence names the margin, the job and the numbers") {
  const std::vector<JobMemory> jobs = four_jobs();
  const auto victim =
      choose_victim(slot(32 * kGB + kGB), jobs, PreemptionPolicy::relative_use, Margins());
  REQUIRE(victim);
  CHECK(victim->evidence ==
        "the slot has 0 MB left, 400 MB are kept free; job 2.0 uses 6144 MB of 4096 MB, the "
        "largest share");
}

TEST_CASE("swap and the machine have margins too") {
  SlotMemory state = slot(kGB);
  CHECK(broken_margin(state, Margins()).empty());
  state.swap_total_bytes = 8 * kGB;
  state.swap_free_bytes = kGB / 2;
  CHECK(broken_margin(state, Margins()) ==
        "the machine's swap has 512 MB left, 1024 MB are kept free");
  state.swap_total_bytes = 0;  // a machine without swap keeps none free
  CHECK(broken_margin(state, Margins()).empty());
  state.machine_available_bytes = kGB / 4;
  CHECK(broken_margin(state, Margins()) == "the machine has 256 MB left, 1024 MB are kept free");
}

TEST_CASE("everybody who asks with the same numbers gets the same answer") {
  const std::vector<JobMemory> equal = {job("b.0", 1, 9 * kGB, kGB, 9 * kGB),
                                        job("a.0", 1, 9 * kGB, kGB, 9 * kGB)};
  const std::vector<JobMemory> turned = {equal[1], equal[0]};
  for (const auto policy :
       {PreemptionPolicy::growth, PreemptionPolicy::relative_use, PreemptionPolicy::absolute_use}) {
    CHECK(equal[choose_victim(slot(32 * kGB), equal, policy, Margins())->job].name == "a.0");
    CHECK(turned[choose_victim(slot(32 * kGB), turned, policy, Margins())->job].name == "a.0");
  }
}

TEST_CASE("policies by name") {
  for (const char* name : {"growth", "relative_use", "absolute_use"})
    CHECK(std::string(name_of(*find_policy(name))) == name);
  CHECK_FALSE(find_policy("oldest"));
  CHECK_FALSE(find_policy(""));
}
