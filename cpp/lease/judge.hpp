// Judge: may the units of a lease be given anew. It reads and never writes.
//
// "Dead" is never a missing /proc/PID: a holder that keeps the kernel's locks is alive while its slot is locked; a recorded
// owner is dead by proc::judge(). What cannot be judged stays taken, with the reason.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "gpuctl/lease/ledger.hpp"
#include "table_record.hpp"

namespace gpuctl::lease::internal {

enum class Standing { alive, gone, unknown };

// What one operation has looked up already: the node's GPUs with those who have their nodes open.
class Judge {
 public:
  Judge(const HostFs& live, const HostFs& hardware, uid_t uid, std::uint64_t pid_namespace)
      : live_(live), hardware_(hardware), uid_(uid), pid_namespace_(pid_namespace) {}

  // Of a recorded lease or of its owner's cgroup.
  Standing owner(const Stored& stored) const;

  // Whether nothing of the job is left. `stored.lease.state` releasing: its holder does not count any more.
  Proof prove(const Stored& stored);

 private:
  void add_payload(const Lease& lease, Proof& proof) const;
  void add_cgroup(const std::string& path, std::uint64_t inode, Proof& proof) const;
  void add_marked(const Lease& lease, Proof& proof) const;
  void add_node_holders(const Stored& stored, Proof& proof);
  void add_doubt(const Lease& lease, Proof& proof) const;
  void look_at_nodes();
  bool sees_where_it_ran(const Lease& lease) const;
  bool sees_all_of(uid_t uid) const { return uid_ == 0 || uid_ == uid; }

  const HostFs& live_;
  const HostFs& hardware_;
  uid_t uid_;
  std::uint64_t pid_namespace_;  // ours: processes outside it are not seen
  std::optional<gpu::Inventory> inventory_;
};

}  // namespace gpuctl::lease::internal
