#include "gpuctl/cgroup/limits.hpp"

#include <doctest/doctest.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using cgroup::Group;
using cgroup::Limit;
using cgroup::Limits;
using cgroup::LimitSource;
using cgroup::Resource;
using cgroup::SlotEnv;

namespace {

constexpr const char* kTop = "sys/fs/cgroup";

// cgroup v2 with /a/b/c, process 7 in it.
struct Machine {
  Machine() {
    tree.write("proc/7/cgroup", "0::/a/b/c\n");
    tree.write("proc/self/mountinfo", "33 27 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    for (const char* each : {"", "/a", "/a/b", "/a/b/c"})
      tree.write(std::string(kTop) + each + "/cgroup.procs", "");
    for (const char* each : {"/a", "/a/b", "/a/b/c"})
      tree.write(std::string(kTop) + each + "/cgroup.events", "populated 1\n");
  }
  void set(const std::string& file, const std::string& text) {
    tree.write(std::string(kTop) + file, text + "\n");
  }
  Limits limits(const SlotEnv& env = {}) {
    const HostFs fs = *HostFs::open(tree.path());
    const Result<Group> group = Group::of_process(fs, 7);
    trace = cgroup::trace_line(*group, cgroup::read_limits(fs, *group, env));
    return cgroup::read_limits(fs, *group, env);
  }

  gpuctl::testing::TempTree tree;
  std::optional<std::string> trace;
};

}  // namespace

TEST_CASE("the least of all ancestors, with the path that imposes it") {
  Machine machine;
  machine.set("/a/b/c/memory.max", "max");
  machine.set("/a/b/memory.max", "314572800");
  machine.set("/a/memory.max", "999999999");
  machine.set("/a/b/c/memory.swap.max", "0");
  machine.set("/a/b/c/pids.max", "100");
  machine.set("/a/pids.max", "50");
  machine.set("/a/b/c/memory.high", "1000");
  const Limits limits = machine.limits();
  CHECK(limits.problems.empty());
  CHECK_FALSE(limits.ancestors_hidden);
  CHECK(limits.least(Resource::memory)->value == 314572800);
  CHECK(limits.least(Resource::memory)->by == "/a/b");
  CHECK(limits.least(Resource::swap)->value == 0);
  CHECK(limits.least(Resource::swap)->by == "/a/b/c");
  CHECK(limits.least(Resource::pids)->value == 50);
  CHECK(limits.least(Resource::pids)->by == "/a");
  CHECK(limits.least(Resource::memory_high)->value == 1000);
  CHECK_FALSE(limits.least(Resource::cpus));
  CHECK(machine.trace ==
        "Slot memory hard limit set to 307200 kB memsw hard limit set to 0 kB by cgroup "
        "configuration. Parsed cgroupV2: /a/b/c");
}

TEST_CASE("quota over period, whatever the periods are") {
  Machine machine;
  machine.set("/a/b/c/cpu.max", "max 100000");
  machine.set("/a/b/cpu.max", "300000 200000");
  machine.set("/a/cpu.max", "200000 100000");
  const std::optional<Limit> cpus = machine.limits().least(Resource::cpus);
  CHECK(cpus->value == 1'500'000);
  CHECK(cpus->by == "/a/b");
}

TEST_CASE("CPUs: of the nearest cgroup that tells, imposed by the highest with the same") {
  Machine machine;
  machine.set("/cpuset.cpus.effective", "0-7");
  machine.set("/a/cpuset.cpus.effective", "0-3,6");
  machine.set("/a/b/cpuset.cpus.effective", "0-3,6");
  const Limits limits = machine.limits();
  REQUIRE(limits.cpuset);
  CHECK(limits.cpuset->cpus == "0-3,6");
  CHECK(limits.cpuset->count == 5);
  CHECK(limits.cpuset->by == "/a");
}

TEST_CASE("garbage is a problem and no limit") {
  Machine machine;
  for (const char* bad : {"", "-5", "12x", "1e9", "99999999999999999999999", " 5", "max max"}) {
    CAPTURE(bad);
    machine.set("/a/memory.max", bad);
    const Limits limits = machine.limits();
    CHECK_FALSE(limits.least(Resource::memory));
    CHECK(limits.problems.size() == 1);
  }
  machine.set("/a/memory.max", "max");
  for (const char* bad : {"", "5", "5 0", "x 100000", "5 5 5", "-1 100000"}) {
    CAPTURE(bad);
    machine.set("/a/cpu.max", bad);
    CHECK(machine.limits().problems.size() == 1);
  }
  machine.set("/a/cpu.max", "max 100000");
  for (const char* bad : {"x", "3-1", "1-", "0-99999999999", "1,,2"}) {
    CAPTURE(bad);
    machine.set("/a/cpuset.cpus.effective", bad);
    CHECK(machine.limits().problems.size() == 1);
    CHECK_FALSE(machine.limits().cpuset);
  }
}

TEST_CASE("a cgroup namespace hides what is above: said so") {
  Machine machine;
  machine.tree.write(std::string(kTop) + "/cgroup.events", "populated 1\n");
  CHECK(machine.limits().ancestors_hidden);
}

TEST_CASE("ulimits: the soft ones, RSS as a promise") {
  Machine machine;
  machine.tree.write(
      "proc/7/limits",
      "Limit                     Soft Limit           Hard Limit           Units\n"
      "Max cpu time              60                   unlimited            seconds\n"
      "Max resident set          2097152000           unlimited            bytes\n"
      "Max processes             500                  1000                 processes\n"
      "Max open files            1024                 4096                 files\n"
      "Max address space         unlimited            unlimited            bytes\n");
  const Limits limits = machine.limits();
  CHECK(limits.least(Resource::cpu_time)->value == 60'000'000);
  CHECK(limits.least(Resource::processes)->value == 500);
  CHECK_FALSE(limits.least(Resource::address_space));
  CHECK_FALSE(limits.least(Resource::memory));  // not enforced
  CHECK(limits.least(Resource::memory, LimitSource::ulimit)->value == 2097152000);
}

TEST_CASE("Slurm's environment and the machine") {
  Machine machine;
  machine.tree.write("proc/meminfo", "MemTotal:       24000000 kB\nSwapTotal:             0 kB\n");
  machine.tree.write("sys/devices/system/cpu/online", "0-15\n");
  machine.tree.write("proc/sys/kernel/pid_max", "4194304\n");
  const SlotEnv env = SlotEnv::from(
      {"SLURM_MEM_PER_CPU=2000", "SLURM_CPUS_ON_NODE=4", "SLURM_MEM_PER_NODE=0", "HOME=/x"});
  const Limits limits = machine.limits(env);
  CHECK(limits.least(Resource::memory, LimitSource::slurm)->value == 8000ULL << 20);
  CHECK(limits.least(Resource::cpus, LimitSource::slurm)->value == 4'000'000);
  CHECK(limits.least(Resource::memory)->value == 24000000ULL * 1024);
  CHECK(limits.least(Resource::memory)->source == LimitSource::machine);
  CHECK(limits.least(Resource::swap)->value == 0);
  CHECK(limits.least(Resource::cpus)->value == 16'000'000);
  CHECK(limits.least(Resource::pids)->value == 4194304);
  const Limits odd =
      machine.limits(SlotEnv::from({"SLURM_MEM_PER_NODE=16G", "SLURM_CPUS_ON_NODE"}));
  CHECK_FALSE(odd.least(Resource::memory, LimitSource::slurm));
}

namespace {

// The limit in bytes that `PeriodicRemove = POLICY` means; -1: a problem, -2: none.
std::int64_t removed_above(const std::string& policy) {
  Machine machine;
  machine.tree.write("ads/job",
                     "JobMemoryLimit = 2000\nrequestmemory=4\nA = B + B\nB = C + C\n"
                     "C = D + D\nD = A\nPeriodicRemove = " +
                         policy + "\n");
  const Limits limits = machine.limits(SlotEnv::from({"_CONDOR_JOB_AD=/ads/job"}));
  if (!limits.problems.empty()) return -1;
  for (const Limit& each : limits.all) {
    if (each.by == "PeriodicRemove on ResidentSetSize")
      return static_cast<std::int64_t>(each.value);
  }
  return -2;
}

}  // namespace

TEST_CASE("HTCondor's policies on the resident set, in kB") {
  CHECK(removed_above("(JobStatus == 2) && ResidentSetSize > 1000") == 1024000);
  CHECK(removed_above("ResidentSetSize>=JobMemoryLimit || x") == 2048000);
  CHECK(removed_above("( MY.ResidentSetSize_RAW > (RequestMemory * 1024 + 0.5*2) )") ==
        4097 * 1024);
  CHECK(removed_above("residentsetsize =!= undefined && residentsetsize > 7") == 7168);
  CHECK(removed_above("JobStatus == 5 && time() > 3") == -2);
  CHECK(removed_above("MyResidentSetSizes > 5") == -2);
  CHECK(removed_above("ResidentSetSize > TARGET.Memory") == -1);
  CHECK(removed_above("ResidentSetSize / 1024 > 5") == -1);
  CHECK(removed_above("5 < ResidentSetSize") == -1);
  CHECK(removed_above("ResidentSetSize >") == -1);
  CHECK(removed_above("ResidentSetSize > A") == -1);
  CHECK(removed_above("ResidentSetSize > ((((((((((((((((((((((((((((((1))))))))))") == -1);
  CHECK(removed_above("ResidentSetSize > 1/0") == -1);
}

TEST_CASE("HTCondor's ads: the slot's share; a missing ad is a problem") {
  Machine machine;
  machine.tree.write("ads/machine", "Memory = 512\nCpus = 2\nGPUs = 1\nState = \"Claimed\"\n");
  const SlotEnv env = SlotEnv::from({"_CONDOR_MACHINE_AD=/ads/machine"});
  const Limits limits = machine.limits(env);
  CHECK(limits.least(Resource::memory, LimitSource::condor_machine_ad)->value == 512 << 20);
  CHECK(limits.least(Resource::cpus, LimitSource::condor_machine_ad)->value == 2'000'000);
  CHECK(limits.least(Resource::gpus, LimitSource::condor_machine_ad)->value == 1);
  for (const char* bad : {"_CONDOR_MACHINE_AD=/ads/none", "_CONDOR_MACHINE_AD=relative",
                          "_CONDOR_MACHINE_AD=/ads", "_CONDOR_MACHINE_AD=/"}) {
    CAPTURE(bad);
    CHECK(machine.limits(SlotEnv::from({bad})).problems.size() == 1);
  }
}

namespace {

struct OldMachine {
  OldMachine() {
    tree.write("proc/7/cgroup", "5:memory:/a/b\n4:cpu,cpuacct:/a\n3:pids:/a\n2:cpuset:/a\n");
    std::string mounts;
    for (const char* each : {"memory", "cpu,cpuacct", "pids", "cpuset"}) {
      const std::string name = each;
      mounts += "35 31 0:32 / /sys/fs/cgroup/" + name + " rw - cgroup cgroup rw," + name + "\n";
      tree.write("sys/fs/cgroup/" + name + "/cgroup.sane_behavior", "0\n");
      for (const char* group : {"", "/a", "/a/b"})
        tree.write("sys/fs/cgroup/" + name + group + "/cgroup.procs", "");
    }
    tree.write("proc/self/mountinfo", mounts);
  }
  Limits limits() {
    const HostFs fs = *HostFs::open(tree.path());
    const Result<Group> group = Group::of_process(fs, 7);
    Limits found = cgroup::read_limits(fs, *group, {});
    trace = cgroup::trace_line(*group, found);
    return found;
  }
  gpuctl::testing::TempTree tree;
  std::optional<std::string> trace;
};

}  // namespace

TEST_CASE("v1: PAGE_COUNTER_MAX and -1 are no limits, the hierarchical ones hold") {
  OldMachine machine;
  const std::string memory = "sys/fs/cgroup/memory/a/b/";
  machine.tree.write(memory + "memory.limit_in_bytes", "9223372036854771712\n");
  machine.tree.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1048576000\n");
  machine.tree.write(memory + "memory.stat",
                     "cache 0\nhierarchical_memory_limit 1048576000\n"
                     "hierarchical_memsw_limit 9223372036854771712\n");
  machine.tree.write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n");
  machine.tree.write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  machine.tree.write("sys/fs/cgroup/pids/a/pids.max", "77\n");
  machine.tree.write("sys/fs/cgroup/cpuset/a/cpuset.cpus", "2-3\n");
  const Limits limits = machine.limits();
  CHECK(limits.problems.empty());
  CHECK(limits.least(Resource::memory)->value == 1048576000);
  CHECK(limits.least(Resource::memory)->by == "/a");
  CHECK_FALSE(limits.least(Resource::memory_and_swap));
  CHECK_FALSE(limits.least(Resource::cpus));
  CHECK(limits.least(Resource::pids)->value == 77);
  CHECK(limits.cpuset->cpus == "2-3");
  CHECK(machine.trace ==
        "Slot memory hard limit set to 1024000 kB memsw hard limit set to 0 kB by cgroup "
        "configuration. Parsed cgroup: /a/b");
}

TEST_CASE("v1: a limit of an ancestor that cannot be seen") {
  OldMachine machine;
  const std::string memory = "sys/fs/cgroup/memory/a/b/";
  machine.tree.write(memory + "memory.limit_in_bytes", "9223372036854771712\n");
  machine.tree.write(memory + "memory.stat", "hierarchical_memory_limit 4096\n");
  machine.tree.write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n");
  machine.tree.write("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n");
  const Limits limits = machine.limits();
  CHECK(limits.least(Resource::memory)->value == 4096);
  CHECK(limits.least(Resource::memory)->by == "above /");
  CHECK(limits.ancestors_hidden);
  CHECK(limits.least(Resource::cpus)->value == 1'500'000);
}
