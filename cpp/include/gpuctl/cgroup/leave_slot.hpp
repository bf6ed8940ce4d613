// Leaving the slot: may the supervisor go to a scope of systemd's, out of the cgroup that it was started in?
//
// What the slot imposes on its cgroup is lost there: limits, device filter, and the batch system's accounting. So it may
// only where memory and devices can be limited again as they were; the rest is imposed again as far as it can be, and
// what cannot is named. The decision is a function of facts that others read; read_* are those readers.
//
//   SlotFacts facts{group.slot().kind, limits_to_impose(limits, shares_top(fs)), read_devices(fs)};
//   LeaveDecision decision = decide_leaving(facts, read_powers(fs, uid));
//   if (decision.leave) request.limits = decision.impose;
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/cgroup/limits.hpp"
#include "gpuctl/cgroup/scope.hpp"
#include "gpuctl/cgroup/slot.hpp"

namespace gpuctl::cgroup {

enum class LeaveSetting { automatic, never };

struct DeviceView {
  bool is_filtered = false;          // one at least is refused that its permissions would give
  std::vector<std::string> allowed;  // the nodes that are not, by their paths
};

struct SlotFacts {
  SlotKind kind = SlotKind::other;
  std::optional<ScopeLimits> limits;  // in force now; nullopt: they could not be read
  std::optional<DeviceView> devices;  // likewise
  LeaveSetting setting = LeaveSetting::automatic;
  std::optional<std::uint64_t> job_memory_bytes;  // its part of the slot's, where it was given one
};

// Beside the job's memory, in the scope: the supervisor's.
inline constexpr std::uint64_t kSupervisorRoomBytes = std::uint64_t{64} << 20;

// What the manager can limit.
struct ManagerPowers {
  bool memory = false;
  bool cpu = false;
  bool cpuset = false;
  bool pids = false;
  bool devices = false;  // only the system's manager may attach device filters
};

struct LeaveDecision {
  bool leave = false;
  std::string reason;  // to stay or to go, one line
  ScopeLimits impose;  // on the scope, when leaving: the slot's, of its memory the job's part
  bool takes_all_memory = false;  // of a slot with a limit: one job may do that, no second one
  std::vector<std::string> lost;  // what holds in the slot and will not hold outside
};

LeaveDecision decide_leaving(const SlotFacts& facts, const ManagerPowers& powers);

// What cgroups enforce, as limits of a scope; nullopt where one of them could not be read, or is hidden from us and would
// not hold in the scope. `same_top`: what is above all that we see is above the scope too (see shares_top).
std::optional<ScopeLimits> limits_to_impose(const Limits& limits, bool same_top);

// Is systemd in our cgroup namespace? Then its scopes are below the same top as we are.
bool shares_top(const HostFs& fs);

// Of the manager of `uid`, by the controllers that its own cgroup has; root's is the system's and can all that the
// kernel can. Nothing where it has no cgroup.
ManagerPowers read_powers(const HostFs& fs, uid_t uid);

// What a device filter does to us. Asked with access(2) of every node below /dev, so no device is opened. A filter that
// refuses only what is not there is not seen, and harms nobody. nullopt: /dev cannot be read.
std::optional<DeviceView> read_devices(const HostFs& fs);

}  // namespace gpuctl::cgroup
