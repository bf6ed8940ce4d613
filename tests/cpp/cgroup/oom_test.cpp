#include "gpuctl/cgroup/oom.hpp"

#include <doctest/doctest.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using cgroup::OomLevel;
using cgroup::OomVerdict;
using cgroup::OomWatch;
using gpuctl::testing::TempTree;

namespace {

constexpr const char* kMount = "sys/fs/cgroup";
constexpr const char* kSlot = "/system.slice/slot.scope";
constexpr const char* kJob = "/system.slice/slot.scope/job-7.abc";

OomWatch::Scope in(const std::string& group, bool is_own) {
  const std::string mount = std::string("/") + kMount;
  return {mount, mount + group, group, is_own};
}

std::string events(unsigned oom, unsigned kills, unsigned group_kills = 0) {
  return "low 0\nhigh 0\nmax 9\noom " + std::to_string(oom) + "\noom_kill " +
         std::to_string(kills) + "\noom_group_kill " + std::to_string(group_kills) + "\n";
}

// A node whose slot and job have had their share of it before.
struct Node {
  Node() {
    set("/system.slice", 5, 5, 5);
    set(kSlot, 2, 4, 3);
    set(kJob, 1, 1, 1);
    vmstat(9);
    tree.write("dev/null", "");
  }
  void set(const std::string& group, unsigned oom, unsigned kills, unsigned own_oom) {
    tree.write(kMount + group + "/memory.events", events(oom, kills));
    tree.write(kMount + group + "/memory.events.local", events(own_oom, 0));
  }
  void vmstat(unsigned kills) const {
    tree.write("proc/vmstat", "pgfault 1\noom_kill " + std::to_string(kills) + "\nx 2\n");
  }
  HostFs fs() const { return std::move(*HostFs::open(tree.path())); }

  TempTree tree;
};

constexpr cgroup::OomEvidence kEndedWell{};
constexpr cgroup::OomEvidence kHit{true, false};
constexpr cgroup::OomEvidence kOurKill{true, true};

}  // namespace

TEST_CASE("whose limit it was") {
  Node node;
  const HostFs fs = node.fs();
  const OomWatch watch = OomWatch::begin(fs, in(kJob, true));

  SUBCASE("nothing happened, whatever the job's end looks like") {
    for (const auto& evidence : {kEndedWell, kHit, kOurKill})
      CHECK(watch.judge(evidence).level == OomLevel::none);
  }
  SUBCASE("a neighbour's") {
    node.set(kSlot, 3, 6, 4);
    node.vmstat(11);
    CHECK(watch.judge(kHit).level == OomLevel::none);
  }
  SUBCASE("the job's own") {
    node.set(kJob, 2, 2, 2);
    node.set(kSlot, 3, 5, 3);
    const OomVerdict verdict = watch.judge(kEndedWell);
    CHECK(verdict.level == OomLevel::job);
    CHECK(verdict.limit_path == kJob);
    CHECK(verdict.kills == 1);
    CHECK(verdict.certain);
  }
  SUBCASE("of a group that the payload made") {
    node.set(kJob, 2, 2, 1);
    CHECK(watch.judge(kEndedWell).level == OomLevel::job);
  }
  SUBCASE("the slot's") {
    node.set(kJob, 1, 3, 1);
    node.set(kSlot, 3, 6, 4);
    const OomVerdict verdict = watch.judge(kHit);
    CHECK(verdict.level == OomLevel::slot);
    CHECK(verdict.limit_path == kSlot);
    CHECK(verdict.kills == 2);
  }
  SUBCASE("nobody's: the node is full") {
    node.set(kJob, 1, 2, 1);
    node.set(kSlot, 2, 5, 3);
    CHECK(watch.judge(kHit).level == OomLevel::node);
  }
}

TEST_CASE("counters that are shared with others are no proof") {
  Node node;
  const HostFs fs = node.fs();
  const OomWatch watch = OomWatch::begin(fs, in(kSlot, false));
  CHECK(watch.judge(kHit).level == OomLevel::none);  // a 137 of its own making
  node.set(kSlot, 3, 5, 4);
  CHECK(watch.judge(kEndedWell).level == OomLevel::none);
  CHECK(watch.judge(kOurKill).level == OomLevel::none);
  const OomVerdict verdict = watch.judge(kHit);
  CHECK(verdict.level == OomLevel::slot);
  CHECK_FALSE(verdict.certain);
}

TEST_CASE("without counters of memory only the node's is left") {
  Node node;
  const HostFs fs = node.fs();
  const OomWatch watch = OomWatch::begin(fs, in("/user.slice", false));
  CHECK(watch.judge(kHit).level == OomLevel::none);
  node.vmstat(10);
  CHECK(watch.judge(kEndedWell).level == OomLevel::none);
  const OomVerdict verdict = watch.judge(kHit);
  CHECK(verdict.level == OomLevel::unknown);
  CHECK_FALSE(verdict.certain);
  CHECK_FALSE(verdict.kills);
}

TEST_CASE("v1 counts and does not tell whose limit") {
  const TempTree tree;
  const std::string dir = "sys/fs/cgroup/memory/slot";
  tree.write(dir + "/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
  const HostFs fs = std::move(*HostFs::open(tree.path()));
  const OomWatch watch = OomWatch::begin_v1(fs, dir, "/slot");
  CHECK(watch.judge(kHit).level == OomLevel::none);
  tree.write(dir + "/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
  CHECK(watch.judge(kHit).level == OomLevel::unknown);
  CHECK(watch.judge(kHit).kills == 2);
}

TEST_CASE("a group that is gone, or garbage in its files, is no verdict") {
  Node node;
  const HostFs fs = node.fs();
  const OomWatch watch = OomWatch::begin(fs, in(kJob, true));
  for (const char* garbage : {"", "oom_kill\n", "oom_kill -1\n",
                              "oom_kill 99999999999999999999999\n", "oom_kill 0x10\noom x\n"}) {
    node.tree.write(std::string(kMount) + kJob + "/memory.events", garbage);
    CHECK(watch.judge(kHit).level == OomLevel::none);
  }
}

TEST_CASE("the kernel's line names the victim, whatever that calls itself") {
  const std::string begin =
      "6,1234,5678,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=user.slice,"
      "mems_allowed=0,oom_memcg=/a/job-7.abc,task_memcg=/a/job-7.abc,task=";
  const auto victim = cgroup::parse_oom_line(begin + "tail,pid=4711,uid=1000\n");
  REQUIRE(victim);
  CHECK(victim->pid == 4711);
  CHECK(victim->name == "tail");
  CHECK(victim->group == "/a/job-7.abc");
  CHECK(cgroup::parse_oom_line(begin + "x,pid=1,uid=0,pid=42,uid=1\n")->name == "x,pid=1,uid=0");
  for (const char* other : {"", "oom-kill:", "6,1,2,-;Out of memory: Killed process 7 (tail)",
                            "oom-kill:,task_memcg=/a,task=b,pid=x,uid=1"})
    CHECK_FALSE(cgroup::parse_oom_line(other));
}
