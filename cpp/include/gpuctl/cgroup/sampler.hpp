// Sampler: the accounting of several cgroups, again and again. Its files stay open: one pread(2) a file and sample.
//
//   Sampler sampler;
//   const std::size_t job = sampler.add(*Group::at(fs, path));
//   const Sample& now = sampler.sample();
//   now.rows[job].get(Field::memory_current);
//
// A cgroup that was removed has an error (ErrorCode::vanished) and a row that knows nothing, the others answer. When a
// cgroup of the same path is made again it is taken up, with another `identity`. Files that are not there (controllers
// that are not enabled, older kernels) are tried again every 256th sample. v1 and hybrid: the same fields where v1 has
// them; memory.oom_control counts this cgroup alone, so it is `local_event_oom_kill`.
//
// Uses up to 16 descriptors a cgroup, close-on-exec. Not shared between threads.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/cgroup/group.hpp"
#include "gpuctl/cgroup/usage.hpp"

namespace gpuctl::cgroup {

// By the number that add() gave.
struct Sample {
  std::vector<Usage> rows;
  std::vector<std::vector<IoDevice>> devices;
  std::vector<std::optional<Error>> errors;
};

class Sampler {
 public:
  Sampler();
  ~Sampler();
  Sampler(Sampler&&) noexcept;
  Sampler& operator=(Sampler&&) noexcept;
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // The group's directories are opened again by the Sampler: the Group may go. `fs` outlives the Sampler.
  std::size_t add(const HostFs& fs, const Group& group);

  // Valid until the next call.
  const Sample& sample();

  std::size_t descriptors() const;  // kept open now

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Once, without keeping anything open.
struct OneSample {
  Usage usage;
  std::vector<IoDevice> devices;
  std::optional<Error> error;
};
OneSample sample_once(const HostFs& fs, const Group& group);

// The same record for a process and all its descendants, for a job without a cgroup of its own: CPU time with that of
// children that were waited for, PSS (smaps_rollup) as memory, storage I/O, threads as pids. A sum in which one process is
// missing (not ours to read) is unknown. CPU time of a process that left the tree and ended is lost.
// ErrorCode::not_found or vanished in `error` when there is no such process.
OneSample sample_processes(const HostFs& fs, pid_t root);

}  // namespace gpuctl::cgroup
