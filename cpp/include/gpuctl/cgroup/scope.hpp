// Scope: a cgroup of our own, asked of systemd: a transient scope unit with `Delegate=yes` that holds processes which
// run already (org.freedesktop.systemd1(5), systemd:docs/CGROUP_DELEGATION.md).
//
// As root the system's manager is asked, else the user's own, which must be there: it is while the user is logged in, or
// always after `loginctl enable-linger`. The asking is done by a child, `busctl`, with a deadline. The scope is the
// manager's: it ends, and its cgroup with all below goes, as soon as no process is left in it; nothing is to be cleaned up.
//
//   ScopeRequest request;
//   request.name = "gpuctl-4711.0f3a5b.scope";
//   request.pids = {::getpid()};
//   request.limits.memory_bytes = 2 << 30;
//   Result<Scope> scope = make_scope(fs, places, request);   // we are in it now
//
// Blocks for `timeout` at most. The processes of `pids` are the caller's own; `fs` is the live machine.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/cgroup/bus.hpp"

namespace gpuctl::cgroup {

// What all of the scope may use at most; nullopt: nothing is said, what is above it holds.
struct ScopeLimits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<std::uint64_t> swap_bytes;  // beside the memory
  std::optional<std::uint64_t> cpu_millis;  // thousandths of a CPU
  std::optional<std::string> cpus;          // "0-3,8"
  std::optional<std::uint64_t> pids;
  // The only device nodes, beside the pseudo devices, that may be opened; the system's manager alone can see to that.
  std::optional<std::vector<std::string>> devices;

  bool operator==(const ScopeLimits&) const = default;
};

struct ScopeRequest {
  std::string name;         // "….scope": letters, digits and `:-_.\`, at most 255
  std::string description;  // for people, in `systemctl status`
  std::vector<pid_t> pids;
  ScopeLimits limits;
  Usec timeout = 10 * kUsecPerSec;
};

struct Scope {
  std::string name;
  std::string path;  // in the v2 hierarchy, as /proc/PID/cgroup has it
  std::string bus;   // who was asked: "XDG_RUNTIME_DIR"
  unsigned tries = 0;
};

// The buses at which somebody may listen, nothing asked yet: a few reads, so that work for nothing can be avoided. The
// error is that of make_scope().
Result<std::vector<BusAddress>> find_buses(const HostFs& fs, const BusPlaces& places);

// The error says what is missing and what to do. ErrorCode::timeout: the manager may still move the processes; with any
// other code it does not. unsupported: no systemd here, or one that counts our pids otherwise; not_found: no user
// manager, or no `busctl`; permission; unavailable: asked and refused.
Result<Scope> make_scope(const HostFs& fs, const BusPlaces& places, const ScopeRequest& request);

// "gpuctl-4711.0f3a5b7c9d1e.scope".
std::string scope_name(const std::string& job_id, const std::string& nonce);

// The arguments of StartTransientUnit as busctl(1) takes them, signature first. ErrorCode::malformed for a list of CPUs
// that is none.
Result<std::vector<std::string>> scope_arguments(const ScopeRequest& request);

}  // namespace gpuctl::cgroup
