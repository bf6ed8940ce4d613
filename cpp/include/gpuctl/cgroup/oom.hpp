// OomWatch: was anything of this job killed for memory, whose limit was it, and who was hit (memory.events of
// cgroup-v2.rst; vmstat of proc(5)).
//
// Counters are read at the start and at the end, before the group is removed: only differences count. `oom_kill` of a
// group means that a process *in it or below* was killed, whoever's limit was met; `oom` of memory.events.local that
// *its own* limit was met. So the kill is looked up in the job's group, and the limit by going upwards from there:
//
//   the job's group, or one that the payload made in it   OomLevel::job
//   a group above                                         OomLevel::slot, with its path
//   no group at all                                       OomLevel::node
//
// Without a group of its own the job shares the counters with its pilot and its neighbours. Then a kill is the job's
// only when the job ended as one that was hit by it, and the verdict says that it is not certain.
//
//   OomWatch watch = OomWatch::begin(fs, OomWatch::Scope{…});
//   OomVerdict verdict = watch.judge(OomEvidence{…});
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::cgroup {

enum class OomLevel { none, job, slot, node, unknown };

const char* name_of(OomLevel level);

struct OomVictim {
  std::int64_t pid = 0;  // as the kernel's initial namespace has it
  std::string name;
  std::string group;  // its cgroup
};

// How the job ended, as far as its supervisor knows.
struct OomEvidence {
  bool ended_by_kill = false;  // SIGKILL, or the 137 of a shell whose command had it
  bool kill_was_ours = false;  // gpuctl had sent it
};

struct OomVerdict {
  std::optional<std::uint64_t> kills;  // processes; nullopt: nobody counts them here
  OomLevel level = OomLevel::none;
  std::string limit_path;    // of the group whose limit was met
  bool certain = true;       // false: the counter is shared with others
  bool whole_group = false;  // the kernel ended all of it together (memory.oom.group)
  std::optional<OomVictim> victim;

  bool hit_the_job() const { return level != OomLevel::none; }
};

class OomWatch {
 public:
  // Whose counters: of the job's own group, or of the one that it shares with its supervisor, in the v2 hierarchy.
  struct Scope {
    std::string mount_point;  // "/sys/fs/cgroup"
    std::string directory;    // "/sys/fs/cgroup/user.slice"
    std::string path;         // of the same, in its hierarchy
    bool is_own = false;
  };

  // Reads the counters; what cannot be read is unknown. Descriptors are kept, so that a removed group still answers.
  static OomWatch begin(const HostFs& fs, const Scope& scope);

  // The same for memory of v1, which has one counter and no levels: `dir` is relative to the root of `fs`.
  static OomWatch begin_v1(const HostFs& fs, const std::string& dir, const std::string& path);

  OomVerdict judge(const OomEvidence& evidence) const;

 private:
  struct Counts {
    std::optional<std::uint64_t> kills;
    std::optional<std::uint64_t> group_kills;
    std::optional<std::uint64_t>
        limit_met;  // its own; of the job's group, and before 5.2, also those below
  };
  struct Level {
    Fd dir;
    std::string path;
    bool is_jobs = false;
    Counts before;
  };

  explicit OomWatch(const HostFs& fs) : fs_(fs) {}

  Counts read_counts(const Level& level) const;
  std::optional<std::uint64_t> node_kills() const;
  void find_limit(OomVerdict& verdict) const;
  std::optional<OomVictim> find_victim() const;

  const HostFs& fs_;
  std::vector<Level> levels_;  // the job's (or the shared) one, then those above
  bool is_own_ = false;
  bool is_v1_ = false;
  std::optional<std::uint64_t> node_before_;
  Fd kernel_log_;  // at its end as of the beginning; empty where it may not be read
};

// A line of the kernel's log that names a victim ("oom-kill:…,task_memcg=/a/b,task=NAME,pid=N,…"); nullopt for others.
std::optional<OomVictim> parse_oom_line(const std::string& line);

}  // namespace gpuctl::cgroup
