#include "gpuctl/cgroup/leave_slot.hpp"

#include <doctest/doctest.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using cgroup::decide_leaving;
using cgroup::DeviceView;
using cgroup::LeaveDecision;
using cgroup::LeaveSetting;
using cgroup::ManagerPowers;
using cgroup::ScopeLimits;
using cgroup::SlotFacts;
using cgroup::SlotKind;
using gpuctl::testing::TempTree;

namespace {

const ManagerPowers kAll{true, true, true, true, true};
const ManagerPowers kUser{true, true, true, true, false};  // with all controllers delegated
const ManagerPowers kOldUser{true, false, false, true, false};
const ManagerPowers kNone{};

SlotFacts slurm() {
  SlotFacts facts;
  facts.kind = SlotKind::slurm;
  facts.limits = ScopeLimits{2'000'000'000, 0, 4'000, "0-3", 100, std::nullopt};
  facts.devices = DeviceView{};
  return facts;
}

bool mentions(const LeaveDecision& decision, const std::string& words) {
  return decision.reason.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a slot is left with all of its limits, or the lost ones are named") {
  const LeaveDecision whole = decide_leaving(slurm(), kUser);
  CHECK(whole.leave);
  CHECK(whole.impose == *slurm().limits);
  CHECK(whole.lost.empty());
  const LeaveDecision some = decide_leaving(slurm(), kOldUser);
  CHECK(some.leave);
  CHECK(some.impose ==
        ScopeLimits{2'000'000'000, 0, std::nullopt, std::nullopt, 100, std::nullopt});
  CHECK(some.lost == std::vector<std::string>{"the limit of CPU time", "the set of CPUs"});
}

TEST_CASE("a job that was given a part of the slot's memory takes that part along, no more") {
  SlotFacts facts = slurm();
  CHECK(decide_leaving(facts, kUser).takes_all_memory);
  facts.job_memory_bytes = 1'000'000'000;
  CHECK_FALSE(decide_leaving(facts, kUser).takes_all_memory);
  CHECK(decide_leaving(facts, kUser).impose.memory_bytes ==
        1'000'000'000 + cgroup::kSupervisorRoomBytes);
  facts.job_memory_bytes = 3'000'000'000;
  CHECK(decide_leaving(facts, kUser).impose.memory_bytes == 2'000'000'000);
  facts.limits->memory_bytes.reset();
  CHECK_FALSE(decide_leaving(facts, kUser).takes_all_memory);
  CHECK_FALSE(decide_leaving(facts, kUser).impose.memory_bytes);
}

TEST_CASE("memory and devices must be limited again, else it stays") {
  CHECK_FALSE(decide_leaving(slurm(), kNone).leave);
  CHECK(mentions(decide_leaving(slurm(), kNone), "memory"));
  SlotFacts only_swap = slurm();
  only_swap.limits = ScopeLimits{};
  CHECK(decide_leaving(only_swap, kNone).leave);
  only_swap.limits->swap_bytes = 0;
  CHECK_FALSE(decide_leaving(only_swap, kNone).leave);

  SlotFacts filtered = slurm();
  filtered.devices = DeviceView{true, {"/dev/null"}};
  CHECK_FALSE(decide_leaving(filtered, kUser).leave);
  CHECK(mentions(decide_leaving(filtered, kUser), "device filter"));
  const LeaveDecision root = decide_leaving(filtered, kAll);
  CHECK(root.leave);
  CHECK(root.impose.devices == std::vector<std::string>{"/dev/null"});
  CHECK_FALSE(decide_leaving(slurm(), kAll).impose.devices);
}

TEST_CASE("what cannot be read is not left") {
  SlotFacts facts = slurm();
  facts.limits.reset();
  CHECK_FALSE(decide_leaving(facts, kAll).leave);
  facts = slurm();
  facts.devices.reset();
  CHECK_FALSE(decide_leaving(facts, kAll).leave);
  CHECK(mentions(decide_leaving(facts, kUser), "cannot be told"));
}

TEST_CASE("never means never, and a place without limits is left freely") {
  SlotFacts facts = slurm();
  facts.setting = LeaveSetting::never;
  CHECK_FALSE(decide_leaving(facts, kAll).leave);
  CHECK(mentions(decide_leaving(facts, kAll), "--leave-slot=never"));
  SlotFacts plain;
  plain.limits = ScopeLimits{};
  plain.devices = DeviceView{};
  CHECK(decide_leaving(plain, kNone).leave);
  CHECK(decide_leaving(plain, kNone).impose == ScopeLimits{});
  plain.limits->memory_bytes = 1;
  CHECK_FALSE(decide_leaving(plain, kNone).leave);
}

TEST_CASE("what cgroups enforce is imposed again, promises of others are not") {
  using cgroup::Limit;
  using cgroup::LimitSource;
  using cgroup::Resource;
  cgroup::Limits limits;
  CHECK(cgroup::limits_to_impose(limits, false) == ScopeLimits{});
  limits.all = {Limit{Resource::memory, 500, LimitSource::cgroup, "/a/b", true},
                Limit{Resource::memory, 400, LimitSource::cgroup, "/a", true},
                Limit{Resource::memory, 300, LimitSource::slurm, "SLURM_MEM_PER_NODE", false},
                Limit{Resource::cpus, 1'500'000, LimitSource::cgroup, "/a", true},
                Limit{Resource::pids, 9, LimitSource::cgroup, "/a", true},
                Limit{Resource::processes, 8, LimitSource::ulimit, "nproc", true}};
  limits.cpuset = cgroup::Cpuset{"0-1", 2, "/a"};
  limits.problems = {Error{ErrorCode::not_found, 2, "/scratch/.job.ad", "no ad"}};
  CHECK(cgroup::limits_to_impose(limits, false) ==
        ScopeLimits{400, std::nullopt, 1500, "0-1", 9, std::nullopt});
  limits.cpuset->by = "/";
  CHECK_FALSE(cgroup::limits_to_impose(limits, false)->cpus);
  limits.ancestors_hidden = true;
  CHECK_FALSE(cgroup::limits_to_impose(limits, false));
  CHECK(cgroup::limits_to_impose(limits, true)->memory_bytes == 400);
  limits.ancestors_hidden = false;
  limits.problems = {
      Error{ErrorCode::permission, 13, "/sys/fs/cgroup/a/memory.max", "cannot open"}};
  CHECK_FALSE(cgroup::limits_to_impose(limits, false));
}

TEST_CASE("systemd is in our cgroup namespace, or it is not") {
  const TempTree tree;
  const HostFs fs = *HostFs::open(tree.path());
  CHECK_FALSE(cgroup::shares_top(fs));
  tree.write("proc/1/cgroup", "0::/init.scope\n");
  CHECK(cgroup::shares_top(fs));
  tree.write("proc/1/cgroup", "0::/../../init.scope\n");
  CHECK_FALSE(cgroup::shares_top(fs));
}

TEST_CASE("a manager's powers are the controllers of its own cgroup") {
  const TempTree tree;
  const HostFs fs = *HostFs::open(tree.path());
  CHECK_FALSE(cgroup::read_powers(fs, 2000).memory);
  tree.write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids");
  tree.write("sys/fs/cgroup/user.slice/user-2000.slice/user@2000.service/cgroup.controllers",
             "cpu memory pids\n");
  const ManagerPowers user = cgroup::read_powers(fs, 2000);
  CHECK(user.memory);
  CHECK(user.cpu);
  CHECK(user.pids);
  CHECK_FALSE(user.cpuset);
  CHECK_FALSE(user.devices);
  const ManagerPowers root = cgroup::read_powers(fs, 0);
  CHECK(root.cpuset);
  CHECK(root.devices);
  CHECK_FALSE(cgroup::read_powers(fs, 2001).cpu);
}

TEST_CASE("without a filter no device is refused, and nothing but devices is looked at") {
  const TempTree tree;
  const HostFs fs = *HostFs::open(tree.path());
  CHECK_FALSE(cgroup::read_devices(fs));
  tree.write("dev/nvidia0", "");
  tree.make_dir("dev/dri");
  const std::optional<DeviceView> empty = cgroup::read_devices(fs);
  REQUIRE(empty);
  CHECK_FALSE(empty->is_filtered);
  CHECK(empty->allowed.empty());
}
