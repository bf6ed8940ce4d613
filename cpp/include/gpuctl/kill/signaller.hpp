// Signaller: the one choke point through which every signal of gpuctl goes to a process of a job.
//
// A signal is sent only to the process that was meant: the pid is turned into a pidfd first, and only then are start
// time and life checked again, so that a pid reused in between fails the check. Never sent, whoever asks: pids below 2,
// ourselves, our ancestors, kernel threads, and processes older than the job. Pids are never negative: no
// process groups, no broadcast.
//
// What was sent and what was refused is counted once per process, for the report.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/proc/stat.hpp"

namespace gpuctl::kill {

enum class Sent { yes, gone, refused };

struct Refusal {
  pid_t pid = 0;
  std::string name;
  std::string reason;
};

class Signaller {
 public:
  // `fs` is the live /proc and outlives the Signaller. `job_start_ticks`: nothing older is signalled.
  Signaller(const HostFs& fs, std::uint64_t job_start_ticks);

  // `target` is a snapshot of the process meant.
  Sent send(const proc::Stat& target, int signal);

  // How many processes got `signal`.
  std::size_t count(int signal) const;
  bool has_got(const proc::Stat& target, int signal) const;
  const std::vector<Refusal>& refused() const { return refused_; }

 private:
  using Key =
      std::pair<pid_t, std::uint64_t>;  // pid, start time: enough among processes that we saw

  bool is_protected(pid_t target);
  Sent refuse(const proc::Stat& target, const std::string& reason);

  const HostFs& fs_;
  std::uint64_t job_start_ticks_;
  std::set<pid_t> protected_;
  std::map<int, std::set<Key>> sent_;
  std::set<Key> refused_keys_;
  std::vector<Refusal> refused_;
};

}  // namespace gpuctl::kill
