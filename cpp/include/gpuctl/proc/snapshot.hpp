// Snapshot: the process table in one pass, as columns. Sampler: the same again and again, at half the cost.
//
// One Row a process, all of one size, so that Python sees the rows as a numpy array where they lie. Names and cgroups
// may hold any byte. A process that ends while it is read is left out; so is one that starts meanwhile, perhaps.
//
//   Result<Snapshot> all = take_snapshot(fs, {});
//   for (const Row& row : all->rows) total += row.rss_bytes;
//
//   Result<Sampler> sampler = Sampler::open(fs, {}, default_descriptor_budget());
//   while (…) { Result<Snapshot> now = sampler->sample(); … }
//
// Sources: proc_pid_stat(5), the owner of /proc/PID (its effective user); where asked for: proc_pid_smaps(5)
// (smaps_rollup), proc_pid_io(5), proc_pid_cgroup(5), proc_pid_environ(5).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::proc {

// The layout is what Python reads: change it together with snapshot_columns().
struct Row {
  std::int32_t pid = 0;
  std::int32_t ppid = 0;
  std::int32_t pgid = 0;
  std::int32_t sid = 0;
  std::uint32_t uid = 0;  // effective
  std::uint32_t threads =
      0;  // more than 1 with state Z: it is alive, only its first thread has ended
  std::uint32_t flags = 0;   // PF_* of <linux/sched.h>
  std::int32_t cgroup = -1;  // index into Snapshot::cgroups
  std::int32_t marker = -1;  // index into Snapshot::markers; -1 and `known`: it has none
  std::uint8_t known = 0;    // kKnows… bits: what was asked for and could be read
  char state = '?';
  char name[64] = {};             // without a NUL when it is that long
  std::uint64_t start_ticks = 0;  // since boot; with the pid, and only for a moment, who it is
  std::uint64_t utime_usec = 0;
  std::uint64_t stime_usec = 0;
  std::uint64_t rss_bytes = 0;
  std::uint64_t pss_bytes = 0;
  std::uint64_t read_bytes = 0;  // from and to storage
  std::uint64_t write_bytes = 0;
};

// Bits of Row::known.
inline constexpr std::uint8_t kKnowsCgroup = 1;
inline constexpr std::uint8_t kKnowsMarker = 2;
inline constexpr std::uint8_t kKnowsPss = 4;
inline constexpr std::uint8_t kKnowsIo = 8;

struct SnapshotOptions {
  bool cgroup = false;
  bool pss = false;  // costs two to three times as much as all the rest
  bool io = false;
  std::string marker;  // a variable of the initial environment, as GPUCTL_JOB_NONCE; empty: none
  std::optional<uid_t> uid;  // only this user's processes: the others cost a quarter
};

struct Snapshot {
  std::vector<Row> rows;             // by pid, ascending
  std::vector<std::string> cgroups;  // the v2 path; where there is none the memory controller's
  std::vector<std::string> markers;  // values of the variable
  Usec taken_at = 0;                 // monotonic, when it began
  std::size_t unreadable = 0;        // processes that were listed and may not be read
};

// ErrorCode::io and others when /proc itself cannot be read, or when descriptors run out: never half an answer.
Result<Snapshot> take_snapshot(const HostFs& fs, const SnapshotOptions& options);

// How many descriptors a Sampler may keep: half of what the process may open (RLIMIT_NOFILE).
std::size_t default_descriptor_budget();

// Keeps the stat file of up to `max_descriptors` processes open; the others are opened each time. The owner of a kept
// process is asked again when its name changes, else every 16th sample: a setuid(2) shows that late. /proc is listed
// again only when something was forked on the node.
// Close-on-exec like all descriptors. `fs` outlives it. Not shared between threads.
class Sampler {
 public:
  static Result<Sampler> open(const HostFs& fs, SnapshotOptions options,
                              std::size_t max_descriptors);
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  Result<Snapshot> sample();
  std::size_t descriptors() const;  // kept now

 private:
  struct State;
  explicit Sampler(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// The members of Row as numpy has them: name, type ("<i4", "S64", …), offset.
struct ColumnLayout {
  const char* name;
  const char* type;
  std::size_t offset;
};
const std::vector<ColumnLayout>& snapshot_columns();

}  // namespace gpuctl::proc
