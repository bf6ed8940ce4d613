#include "judge.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/tree.hpp"
#include "gpuctl/gpu/holders.hpp"
#include "gpuctl/proc/holders.hpp"
#include "gpuctl/proc/snapshot.hpp"

namespace gpuctl::lease::internal {
namespace {

constexpr const char* kMark = "GPUCTL_JOB_NONCE";

// The directory of a v2 cgroup; an empty optional: it is gone.
std::optional<Dir> open_cgroup(const HostFs& live, const std::string& path) {
  for (const char* mount : {host_paths::kCgroupMount, host_paths::kCgroupUnified}) {
    Result<Dir> dir = live.open_dir(std::string(mount) + path);
    if (dir && dir->exists("cgroup.procs")) return std::move(*dir);
  }
  return std::nullopt;
}

// cgroup.events, "populated 0"; nullopt where it cannot be read.
std::optional<bool> is_populated(const Dir& cgroup) {
  const Result<std::string> events = cgroup.read("cgroup.events");
  if (!events) return std::nullopt;
  for (const std::string_view line : split(*events, '\n')) {
    if (line == "populated 0") return false;
    if (line == "populated 1") return true;
  }
  return std::nullopt;
}

std::string name_of_process(const HostFs& live, pid_t pid) {
  const Result<proc::Stat> stat = proc::read_stat(live, pid);
  return stat ? stat->name : "";
}

void add_members(const HostFs& live, const Dir& cgroup, const std::string& path, Proof& proof) {
  const std::string pids = cgroup.read("cgroup.procs").value_or(std::string());
  const std::string what = "is in the job's cgroup " + path;
  const std::size_t before = proof.blockers.size();
  for (const std::string_view line : split(pids, '\n')) {
    const Result<std::uint64_t> pid = parse_unsigned(line, "pid", 10, 0x7fffffff);
    if (pid && *pid > 0)
      proof.blockers.push_back(
          {static_cast<pid_t>(*pid), name_of_process(live, static_cast<pid_t>(*pid)), what});
  }
  if (proof.blockers.size() == before)
    proof.blockers.push_back({0, "", "the job's cgroup " + path + " has processes"});
}

void add_how(Proof& proof, const char* how) {
  proof.how += (proof.how.empty() ? "" : ", ") + std::string(how);
}

std::uint64_t ticks_of(Usec boot) {
  const auto per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return static_cast<std::uint64_t>(boot) * per_second / static_cast<std::uint64_t>(kUsecPerSec);
}

// Who had the node open before the unit was given (a desktop's own session) is none of the job.
bool was_there_before(const HostFs& live, const gpu::Holder& holder, const Stored& stored) {
  if (holder.pid == stored.lease.holder.pid) return false;
  const Result<proc::Stat> stat = proc::read_stat(live, holder.pid);
  return stat && stored.lease.granted_boot > 0 &&
         proc::machine_ticks(stat->start_ticks) < ticks_of(stored.lease.granted_boot);
}

std::string nodes_text(const std::vector<std::string>& nodes) {
  std::string text = "holds";
  for (const std::string& node : nodes) text += " " + node;
  return text;
}

}  // namespace

bool Judge::sees_where_it_ran(const Lease& lease) const {
  return pid_namespace_ == proc::kInitialPidNamespace ||
         pid_namespace_ == lease.holder.pid_namespace;
}

Standing Judge::owner(const Stored& stored) const {
  switch (proc::judge(live_, stored.lease.holder)) {
    case proc::Liveness::alive: return Standing::alive;
    case proc::Liveness::dead: return Standing::gone;
    case proc::Liveness::unknown: break;
  }
  return Standing::unknown;
}

void Judge::add_cgroup(const std::string& path, std::uint64_t inode, Proof& proof) const {
  const std::optional<Dir> cgroup = open_cgroup(live_, path);
  if (!cgroup) return add_how(proof, "cgroup");
  const Result<FileId> id = file_id(cgroup->fd(), path);
  if (inode != 0 && id && id->inode != inode) return add_how(proof, "cgroup");  // another one
  const std::optional<bool> populated = is_populated(*cgroup);
  if (!populated) {
    proof.unknown = "`" + path + "`: whether it has processes cannot be read";
  } else if (*populated) {
    add_members(live_, *cgroup, path, proof);
  } else {
    add_how(proof, "cgroup");
  }
}

void Judge::add_payload(const Lease& lease, Proof& proof) const {
  const Payload& payload = *lease.payload;
  if (payload.init) {
    switch (proc::judge(live_, *payload.init)) {
      case proc::Liveness::dead: add_how(proof, "pid namespace"); break;
      case proc::Liveness::alive:
        proof.blockers.push_back({payload.init->pid, name_of_process(live_, payload.init->pid),
                                  "is the first of the job's processes"});
        break;
      case proc::Liveness::unknown:
        proof.unknown = "the job ran in a pid namespace that cannot be seen from here";
    }
  }
  if (payload.cgroup_path && payload.cgroup_inode != 0)
    add_cgroup(*payload.cgroup_path, payload.cgroup_inode, proof);
}

// Those who left the tree and carry the job's mark; of other users' processes it cannot be read.
void Judge::add_marked(const Lease& lease, Proof& proof) const {
  if (!lease.job || lease.job->nonce.empty() || !sees_all_of(lease.uid)) return;
  proc::SnapshotOptions options;
  options.marker = kMark;
  if (uid_ != 0) options.uid = ::geteuid();
  const Result<proc::Snapshot> all = proc::take_snapshot(live_, options);
  if (!all) {
    proof.unknown = all.error().message();
    return;
  }
  for (const proc::Row& row : all->rows) {
    if (row.marker < 0 || row.state == 'Z' || row.pid == lease.holder.pid) continue;
    if (all->markers[static_cast<std::size_t>(row.marker)] != lease.job->nonce) continue;
    proof.blockers.push_back({row.pid, name_of_process(live_, row.pid), "carries the job's mark"});
  }
  add_how(proof, "marks");
}

void Judge::look_at_nodes() {
  if (inventory_) return;
  Result<gpu::Inventory> found = gpu::discover(hardware_, {});
  inventory_ = found ? std::move(*found) : gpu::Inventory();
  const proc::NodeHolders holders = proc::holders_of_gpu_nodes(live_, hardware_);
  std::vector<gpu::Holder> all;
  for (const proc::NodeHolder& each : holders.holders)
    all.push_back({each.pid, each.uid, each.name, false, each.nodes});
  gpu::add_holders(*inventory_, all, {holders.processes_read, holders.processes_unreadable});
}

void Judge::add_node_holders(const Stored& stored, Proof& proof) {
  look_at_nodes();
  for (const Unit& unit : stored.lease.units) {
    for (const gpu::Gpu& gpu : inventory_->gpus) {
      if (gpu.id != unit.id) continue;
      for (const gpu::Holder& holder : gpu.busy_by) {
        if (holder.service || was_there_before(live_, holder, stored)) continue;
        proof.blockers.push_back({holder.pid, holder.name, nodes_text(holder.nodes)});
      }
    }
  }
}

// Without a pid namespace or cgroup on record, a stranger's processes cannot be told from the job's.
void Judge::add_doubt(const Lease& lease, Proof& proof) const {
  if (!proof.how.empty() || sees_all_of(lease.uid)) return;
  proc::SnapshotOptions options;
  options.uid = lease.uid;
  const Result<proc::Snapshot> all = proc::take_snapshot(live_, options);
  const bool any = !all || std::any_of(all->rows.begin(), all->rows.end(),
                                       [](const proc::Row& row) { return row.state != 'Z'; });
  if (any) {
    proof.unknown = "uid " + std::to_string(lease.uid) +
                    " has processes that only it and root can look into: it, or root with `gpuctl "
                    "status --repair`, can tell";
  }
}

Proof Judge::prove(const Stored& stored) {
  Proof proof;
  const Lease& lease = stored.lease;
  if (stored.defect) {
    proof.unknown = *stored.defect;
    return proof;
  }
  if (!sees_where_it_ran(lease)) {
    proof.unknown = "it ran in another pid namespace, whose processes cannot be seen from here";
    return proof;
  }
  if (lease.payload) add_payload(lease, proof);
  if (stored.owner_cgroup) add_cgroup(*stored.owner_cgroup, 0, proof);
  if (proof.blockers.empty()) add_marked(lease, proof);
  if (proof.blockers.empty()) add_doubt(lease, proof);
  add_node_holders(stored, proof);
  proof.empty = proof.blockers.empty() && !proof.unknown;
  if (proof.empty) add_how(proof, "device nodes");
  return proof;
}

}  // namespace gpuctl::lease::internal
