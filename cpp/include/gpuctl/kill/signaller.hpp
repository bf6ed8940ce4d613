// Signaller: the one choke point through which every signal of gpuctl goes to a process of a job.
//
// A signal is sent only to the process that was meant. First a handle is taken (pidfd, else the /proc/PID directory);
// only then are its start time, its membership of the job and its life checked, so that whoever got the pid in between
// fails a check. Never sent, whoever asks: to pids below 2 (no groups, no broadcast), ourselves, our ancestors, kernel
// threads, processes older than the job, and whatever the kernel does not let us signal: other users' processes,
// except those in a user namespace that this job has made.
//
// What was sent and what was refused is counted once per process, for the report. One thread.
//
//   Signaller signaller(fs, root.start_ticks);
//   signaller.send(member, SIGTERM, [&](const proc::Stat& now) { return now.ppid == root.pid; });
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/proc/identity.hpp"
#include "gpuctl/proc/stat.hpp"

namespace gpuctl::kill {

enum class Sent { yes, gone, refused };

struct Refusal {
  pid_t pid = 0;
  std::string name;
  std::string reason;
};

// Is the process, as it is now, still one of the job's? Asked while its handle is held.
using Belongs = std::function<bool(const proc::Stat& now)>;

class Signaller {
 public:
  // Pid and start time: enough among processes that we saw.
  using Key = std::pair<pid_t, std::uint64_t>;

  // `fs` is the live machine and outlives the Signaller. `job_start_ticks`: nothing older is signalled.
  Signaller(const HostFs& fs, std::uint64_t job_start_ticks);

  // `target` is a snapshot of the process meant.
  Sent send(const proc::Stat& target, int signal, const Belongs& belongs);

  // TERM or INT, and then CONT so that a stopped process can act on it.
  Sent ask(const proc::Stat& target, int signal, const Belongs& belongs);

  // KILL; before it the process loses the right to fork (RLIMIT_NPROC, which its children inherit): what it makes in
  // its last moment makes no more. Means nothing to root's processes.
  Sent force(const proc::Stat& target, const Belongs& belongs);

  // Why nobody may signal this process, or nullopt. Nothing is sent.
  std::optional<std::string> objection(const proc::Stat& target);

  // Counts a signal that the kernel sent for us (cgroup.kill).
  void note(const proc::Stat& target, int signal);

  // How many processes got `signal`; how often one has.
  std::size_t count(int signal) const;
  unsigned times(const proc::Stat& target, int signal) const;
  bool has_got(const proc::Stat& target, int signal) const { return times(target, signal) != 0; }
  bool was_refused(const proc::Stat& target) const;
  const std::vector<Refusal>& refused() const { return refused_; }

 private:
  struct Held {
    proc::Handle handle;
    proc::Stat now;
    Usec checked_at;
  };

  std::optional<Held> hold(const proc::Stat& target, const Belongs& belongs, Sent& verdict);
  Sent deliver(const Held& held, int signal);
  bool is_protected(const proc::Stat& target);
  Sent refuse(const proc::Stat& target, const std::string& reason);
  std::string words_for(int error, pid_t pid) const;

  const HostFs& fs_;
  std::uint64_t job_start_ticks_;
  std::set<Key> protected_;  // ourselves and our ancestors
  std::map<int, std::map<Key, unsigned>> sent_;
  std::set<Key> refused_keys_;
  std::vector<Refusal> refused_;
};

}  // namespace gpuctl::kill
