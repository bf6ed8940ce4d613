// Lease: what the ledger knows of one reservation. A plain value.
//
// A unit is a GPU, a MIG instance, a partition or a virtual function. It is known by its id, PCI address and UUID, never by
// an index or a minor number: those change with a reboot or a driver reload.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/gpu/gpu.hpp"
#include "gpuctl/proc/identity.hpp"

namespace gpuctl::lease {

struct Unit {
  std::string id;                   // as in the inventory
  std::string pci_address;          // of a partition: its parent's
  std::optional<std::string> uuid;  // of AMD's: as ROCr has it, "GPU-" and the unique id
  std::optional<std::string> parent_id;
};

// `gpu` must have a PCI address.
Unit unit_of(const gpu::Gpu& gpu);

// The same unit, also when it has got another address meanwhile; or one is a part of the other; or both are parts of one
// GPU that was divided in two ways.
bool overlap(const Unit& a, const Unit& b);

// How far a lease has come. `waiting` has no units yet; `prepared` is within one operation and void once its writer died.
enum class State { waiting, prepared, held, releasing };

// `held`: the holder keeps the kernel's locks for the lease's life. `recorded`: for agents that come and go; it is valid
// while the owner lives, or the job's cgroup has processes, or a device node is open.
enum class Way { held, recorded };

const char* name_of(State state);
const char* name_of(Way way);

struct JobName {
  std::string id;
  unsigned resubmission = 0;
  std::string nonce;  // in the environment of each of its processes; empty: not marked
};

// Where the payload lives: with it others can prove that nothing of it is left when the holder cannot be asked any more.
struct Payload {
  std::optional<proc::Identity> init;  // of the payload's pid namespace: when it is gone, all are
  std::optional<std::string> cgroup_path;
  std::uint64_t cgroup_inode = 0;
  std::optional<proc::Identity> supervisor;  // where another process has reserved for it
};

// Who or what keeps the units of a lease from being given anew.
struct Blocker {
  pid_t pid = 0;  // 0: not a process
  std::string name;
  std::string what;  // "holds /dev/dri/renderD128", "is in the job's cgroup"
};

struct Lease {
  std::string id;     // 16 hexadecimal digits, the first of its nonce
  std::string nonce;  // 128 bits
  uid_t uid = 0;
  std::optional<JobName> job;
  Way way = Way::held;
  State state = State::waiting;
  std::vector<Unit> units;
  proc::Identity holder;  // supervisor, agent or caller
  std::optional<Payload> payload;
  std::string command;             // of the holder, cut
  Usec since = 0;                  // real time of the last change of state
  std::optional<Usec> expires_at;  // real time, for people; what counts is the boot clock
  Usec granted_boot = 0;           // CLOCK_BOOTTIME when its units were given; 0: not yet
  std::uint64_t ticket = 0;        // order of arrival on this node
  unsigned version = 1;            // of the record

  // Filled by Ledger::view().
  std::vector<Blocker> blockers;       // of a lease that is not held any more
  std::optional<std::string> unknown;  // why it cannot be judged; it then counts as taken
  bool holder_alive = true;
};

}  // namespace gpuctl::lease
