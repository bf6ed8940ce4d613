// Ledger: which unit of this node is given to whom. A unit is given once, survives a crash of anything, and comes back only
// when nothing of its job is left.
//
//   STATE/ledger/                 as STATE; its flock(2) LOCK_EX is the critical section of every operation
//   STATE/ledger/table.UID        0644: the leases of one user, written by that user only
//   STATE/ledger/audit.UID.jsonl  0644: why each of them came to be and ended
//   STATE/ledger/drain.UID        0644: what that user drained
//   STATE/leases/UID/ID/          what payloads may read of one lease: publish()
//
// A grant is written in two phases, prepared and held, and taken back in two, releasing and gone, so that a crash at any
// instruction leaves what the next caller repairs (docs/design/ledger.md). Beside the record a held lease keeps flock(2) on
// the GPU's directory below /sys/bus/pci/devices: gpuctl with another state directory (a private /dev/shm) sees that.
//
//   Result<Ledger> ledger = Ledger::open({&fs, state_dir, Scope::node});
//   Result<Held> held = ledger->hold(request, node, {});
//   …
//   Result<Release> done = held->release(ledger->prove(held->lease(), inventory));
//
// One Ledger belongs to one thread. It keeps no lock between calls; Held keeps those of its units.
// Sources: flock(2), inotify(7), openat2(2), proc_sys_fs(5) (protected_regular).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/lease/drain.hpp"
#include "gpuctl/lease/lease.hpp"
#include "gpuctl/lease/request.hpp"

namespace gpuctl::lease {

// `node`: the state directory must be the node's, else reservations are refused. `slot`: the caller knows that only this
// slot's own users are kept apart.
enum class Scope { node, slot };

struct Place {
  const HostFs* hardware;  // whose /sys; outlives the Ledger
  std::optional<std::string> state_dir;
  Scope scope = Scope::node;
};

// Whether the units of a lease may be given anew: nothing of its job is left and nobody has a node of them open.
struct Proof {
  bool empty = false;  // proven
  std::string how;     // "all reaped", "cgroup", "pid namespace", "identities"
  std::vector<Blocker> blockers;
  std::optional<std::string> unknown;  // why nothing can be said
};

struct Release {
  bool gone = false;  // false: it is `releasing`, and `lease.blockers` says who keeps it
  Lease lease;
};

struct View {
  std::vector<Lease> leases;  // waiting ones too, by ticket
  std::vector<Drain> drains;  // in force, by unit
  std::vector<Error> problems;
  std::vector<std::string> repaired;  // words for each thing that was put right
};

// A lease that this process holds. Dropping it without release() leaves the record to the next caller's judgement, and the
// locks go with the process (or with the last child that inherited them). In a forked child it does nothing.
class Held {
 public:
  Held(Held&&) noexcept;
  Held& operator=(Held&&) noexcept;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held();

  const Lease& lease() const;

  // Records where the payload lives, before it may exec.
  Result<void> note_payload(const Payload& payload);

  // Whoever inherits these keeps the lease alive when this process is gone: for a supervisor that takes over.
  std::vector<int> descriptors() const;

  // With an empty proof the units are free when this returns; else the lease stays `releasing`, with who keeps it, and its
  // locks are let go.
  Result<Release> release(const Proof& proof);

  // Readable when something changed in the ledger: ask evicted(). -1 where that cannot be watched.
  int fd() const;

  // Words when one of its units is drained with level evict. Also writes the lease's record anew when the table lost it.
  std::optional<std::string> evicted();

  struct Impl;

 private:
  friend class Ledger;
  explicit Held(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The agent that a recorded lease belongs to.
struct Owner {
  pid_t pid = 0;
  std::optional<std::string> cgroup_path;  // of the job, where it has one
};

struct DrainOrder {
  std::string unit_id;
  DrainLevel level = DrainLevel::no_new_jobs;
  std::string reason;
  std::string cause = "administrator";
  std::optional<Usec> for_usec;
  bool needs_check = false;
};

class Ledger {
 public:
  // ErrorCode::usage, permission or io when the state directory cannot be one.
  static Result<Ledger> open(const Place& place);

  Ledger(Ledger&&) noexcept;
  Ledger& operator=(Ledger&&) noexcept;
  ~Ledger();

  // All units of the request or none. ErrorCode::unavailable: not enough now (the detail says why for each GPU), or not
  // within the time given; timeout: the ledger itself is stuck; unsupported: `ledger_scope`.
  Result<Held> hold(const Request& request, const Node& node, const Patience& patience);
  Result<Lease> record(const Request& request, const Node& node, const Patience& patience,
                       const Owner& owner);

  // A lease by its id, or the only one of a job's id or nonce; of any user. ErrorCode::not_found, or usage when several fit.
  Result<Lease> find(const std::string& id_or_job);

  // Writes what a payload may read of a lease of this user, with its GPUs as the inventory has them, to
  // STATE/leases/UID/ID/NAME.json (0444; replaced, never changed). Its absolute path; the file goes with the lease.
  // ErrorCode::not_found for a lease that is not on record (any more).
  Result<std::string> publish(const Lease& lease, const std::vector<gpu::Gpu>& gpus,
                              const std::string& name) const;

  // For whoever runs a job on a lease of this user that another process holds: whose it is, and where it lives.
  Result<void> note_payload(const std::string& lease_id, const JobName& job,
                            const Payload& payload);

  // Takes back a lease of this user. The proof is made here.
  Result<Release> release(const std::string& id_or_job);

  // Everything on record and what is wrong with it; nothing is written.
  Result<View> view();

  // Puts right what a crash left, then the view. Only this user's records are written.
  Result<View> repair();

  // What can be proven from here about a lease whose holder is not asked.
  Proof prove(const Lease& lease) const;

  Result<Drain> drain(const DrainOrder& order);
  Result<Drain> undrain(const std::string& unit_id, const std::string& reason, bool check_passed);

  // A probe that hung, or one that answered: three in a row that hung make a quarantine. Returns it when it is made. A hung
  // one that was asked `asked_ago` counts when the one before it had been given up by then.
  Result<std::optional<Drain>> note_probe(const std::string& unit_id, bool hung, Usec asked_ago);

  // The lines of the audit logs, oldest first; each is one JSON object.
  Result<std::vector<std::string>> history() const;

  // Readable when something changes; -1 where that cannot be watched.
  int watch_fd();
  void drain_watch();

  const std::string& path() const;  // STATE/ledger

  struct Impl;

 private:
  explicit Ledger(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace gpuctl::lease
