#include "gpuctl/proc/snapshot.hpp"

#include <cerrno>
#include <cstddef>

#include "columns.hpp"
#include "gpuctl/base/host_paths.hpp"

namespace gpuctl::proc {
namespace {

using internal::ProcDir;
using internal::Took;

Took take_row(ProcDir& proc, pid_t pid, const SnapshotOptions& options, Row& row) {
  std::optional<uid_t> uid;
  if (options.uid) {
    uid = proc.owner(pid);
    if (!uid) return internal::outcome_of_errno(errno);
    if (*uid != *options.uid) return Took::gone;
  }
  const auto text = proc.read(pid, "stat", internal::kMaxStatBytes);
  if (!text) return internal::outcome_of_errno(errno);
  if (!internal::fill_from_stat(*text, row)) return Took::gone;
  if (!uid) uid = proc.owner(pid);
  if (!uid) return internal::outcome_of_errno(errno);
  row.uid = *uid;
  return Took::yes;
}

}  // namespace

Result<Snapshot> take_snapshot(const HostFs& fs, const SnapshotOptions& options) {
  Result<ProcDir> proc = ProcDir::open(fs);
  if (!proc) return fail(std::move(proc).error());
  Snapshot snapshot;
  snapshot.taken_at = monotonic_usec();
  std::vector<pid_t> pids;
  if (Result<void> listed = proc->list(pids); !listed) return fail(listed.error());
  internal::OptionalColumns columns(options, snapshot);
  snapshot.rows.reserve(pids.size());
  for (const pid_t pid : pids) {
    Row row;
    const Took took = take_row(*proc, pid, options, row);
    if (took == Took::no_resource)
      return fail_errno(errno, fs.where(host_paths::kProc), "cannot read every process");
    if (took == Took::forbidden) ++snapshot.unreadable;
    if (took != Took::yes) continue;
    columns.read(*proc, row);
    snapshot.rows.push_back(row);
  }
  return snapshot;
}

const std::vector<ColumnLayout>& snapshot_columns() {
  static const std::vector<ColumnLayout> layout = {
      {"pid", "<i4", offsetof(Row, pid)},
      {"ppid", "<i4", offsetof(Row, ppid)},
      {"pgid", "<i4", offsetof(Row, pgid)},
      {"sid", "<i4", offsetof(Row, sid)},
      {"uid", "<u4", offsetof(Row, uid)},
      {"threads", "<u4", offsetof(Row, threads)},
      {"flags", "<u4", offsetof(Row, flags)},
      {"state", "S1", offsetof(Row, state)},
      {"name", "S64", offsetof(Row, name)},
      {"start_ticks", "<u8", offsetof(Row, start_ticks)},
      {"utime_usec", "<u8", offsetof(Row, utime_usec)},
      {"stime_usec", "<u8", offsetof(Row, stime_usec)},
      {"rss_bytes", "<u8", offsetof(Row, rss_bytes)},
      {"known", "u1", offsetof(Row, known)},
      {"cgroup", "<i4", offsetof(Row, cgroup)},
      {"marker", "<i4", offsetof(Row, marker)},
      {"pss_bytes", "<u8", offsetof(Row, pss_bytes)},
      {"read_bytes", "<u8", offsetof(Row, read_bytes)},
      {"write_bytes", "<u8", offsetof(Row, write_bytes)},
  };
  return layout;
}

}  // namespace gpuctl::proc
