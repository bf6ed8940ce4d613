// Everything of this room that reads texts, on random ones: an answer or an error, never a crash or a write.
#include <doctest/doctest.h>

#include <random>

#include "../../../cpp/cgroup/classad.hpp"
#include "../../../cpp/cgroup/mounts.hpp"
#include "gpuctl/cgroup/json.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;

namespace {

constexpr std::string_view kWords[] = {"0::",
                                       "/",
                                       "..",
                                       " (deleted)",
                                       ":",
                                       "memory",
                                       "cpu,cpuacct",
                                       "\n",
                                       " - ",
                                       "cgroup2",
                                       "cgroup",
                                       "/sys/fs",
                                       "\\040",
                                       "\\",
                                       " ",
                                       "max",
                                       "-1",
                                       "100000",
                                       "0-3",
                                       ",",
                                       "= ",
                                       "(",
                                       ")",
                                       "PeriodicRemove = ",
                                       "ResidentSetSize",
                                       " > ",
                                       "||",
                                       "*",
                                       "1024",
                                       "Memory",
                                       "18446744073709551615",
                                       "JobMemoryLimit",
                                       "1e9",
                                       "MY.",
                                       "kB"};

class Noise {
 public:
  std::size_t up_to(std::size_t most) { return random_() % (most + 1); }
  std::string text(std::size_t most) {
    std::string text;
    for (std::size_t left = up_to(most); left > 0; --left) {
      if (up_to(3) == 0) {
        text += static_cast<char>(up_to(255));
      } else {
        text += kWords[up_to(std::size(kWords) - 1)];
      }
    }
    return text;
  }

 private:
  std::mt19937 random_{20261122};  // NOLINT: the same run each time
};

}  // namespace

TEST_CASE("random texts for the parsers") {
  Noise noise;
  std::size_t understood = 0;
  for (int round = 0; round < 50'000; ++round) {
    const std::string text = noise.text(24);
    understood += cgroup::parse_home(text) ? 1 : 0;
    understood += cgroup::internal::parse_mounts(text).size();
    understood += cgroup::count_cpus(text) ? 1 : 0;
    understood += cgroup::slot_of(text).path.empty() ? 0 : 1;
    const auto ad = cgroup::internal::ClassAd::parse(text);
    understood += ad.thresholds("PeriodicRemove", "ResidentSetSize").size();
    understood += ad.number("Memory") ? 1 : 0;
    static_cast<void>(cgroup::internal::unescape(text));
  }
  CHECK(understood > 1000);
}

TEST_CASE("machines whose files say random things") {
  Noise noise;
  const gpuctl::testing::TempTree tree;
  const char* const files[] = {"memory.max",    "memory.high",  "memory.swap.max",
                               "cpu.max",       "pids.max",     "cgroup.procs",
                               "cpu.stat",      "io.stat",      "memory.stat",
                               "memory.events", "cpu.pressure", "cpuset.cpus.effective"};
  const HostFs fs = *HostFs::open(tree.path());
  for (int round = 0; round < 300; ++round) {
    const bool plain = round % 2 == 0;  // so that the directories are reached
    tree.write("proc/7/cgroup", plain ? "0::/a\n" : noise.text(12));
    tree.write("proc/self/mountinfo",
               plain ? "33 27 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n" : noise.text(40));
    tree.write("proc/meminfo", noise.text(20));
    tree.write("proc/7/limits", noise.text(20));
    tree.write("proc/7/stat", noise.text(20));
    tree.write("ads/job", noise.text(60));
    for (const char* file : files)
      tree.write(std::string("sys/fs/cgroup/a/") + file, noise.text(10));
    const Result<cgroup::Group> group = cgroup::Group::of_process(fs, 7);
    if (!group) continue;
    const cgroup::SlotEnv env = cgroup::SlotEnv::from(
        {"_CONDOR_JOB_AD=/ads/job", "SLURM_MEM_PER_CPU=" + noise.text(2), "SLURM_CPUS_ON_NODE=3"});
    const Json json = cgroup::to_json(*group, cgroup::read_limits(fs, *group, env),
                                      cgroup::sample_once(fs, *group), "cgroup");
    CHECK(to_text(json).size() > 100);  // whatever bytes there were, it is JSON
    static_cast<void>(cgroup::sample_processes(fs, 7));
  }
}
