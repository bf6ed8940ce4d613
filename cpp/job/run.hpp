// Run: all that one supervised job owns, handed from phase to phase: start() -> watch() -> conclude().
#pragma once

#include <signal.h>

#include <memory>
#include <optional>
#include <string>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/cgroup/delegation.hpp"
#include "gpuctl/cgroup/oom.hpp"
#include "gpuctl/fence/spawn.hpp"
#include "gpuctl/job/control.hpp"
#include "gpuctl/job/ending.hpp"
#include "gpuctl/job/state_dir.hpp"
#include "gpuctl/job/supervisor.hpp"
#include "gpuctl/job/tether.hpp"
#include "gpuctl/job/trace.hpp"
#include "gpuctl/job/workdir.hpp"
#include "gpuctl/kill/engine.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "gpuctl/proc/identity.hpp"
#include "records.hpp"

namespace gpuctl::job {

struct Run {
  Run(Spec run_spec, LogSink* sink, HostFs live_fs)
      : spec(std::move(run_spec)), trace(sink, std::move(spec.events)), fs(std::move(live_fs)) {}

  Spec spec;
  Trace trace;
  HostFs fs;  // the live machine: processes are only ever those of this one
  proc::Here here;
  Report report;
  sigset_t signal_mask{};      // as it was when gpuctl was started: the payload's
  sigset_t handled_signals{};  // what watch() takes

  std::optional<StateDir> state;
  std::optional<JobDir> directory;
  JobRecord record;
  std::optional<ControlServer> control;
  std::optional<HostFs> hardware;  // whose GPUs, where the job wants some
  std::optional<lease::Ledger> ledger;
  std::optional<lease::Held> lease;  // ours to give back
  std::optional<GivenGpus> given;
  std::optional<Workdir> workdir;
  std::optional<Tether> tether;        // where the supervisor came from, once it has left
  std::optional<cgroup::Place> place;  // where the job's own cgroup goes
  std::optional<cgroup::JobGroup> group;
  std::optional<cgroup::OomWatch> oom;
  std::optional<fence::Child> child;
  std::unique_ptr<kill::Signaller> signaller;
  std::unique_ptr<kill::Below> target;  // with the child
  std::unique_ptr<kill::Engine> engine;
  Ending ending;
  std::vector<int> waiting_clients;  // who asked for the kill and waits for its end

  Usec started_monotonic = 0;
  std::optional<Usec> ttl_deadline;  // monotonic
  std::optional<int> exec_errno;
  bool all_reaped = false;
};

// Everything up to the payload's exec. False: it never started, and the report says why.
bool start(Run& run);

// Until nothing of the payload is left, or it was given up.
void watch(Run& run);

// Proof, accounting, output, clean-up, report.
Outcome conclude(Run& run);

// For a job that cannot start: notes why, and the exit code that tells it.
bool never_started(Run& run, const char* kill_reason_name, const std::string& detail,
                   int exit_code = 125);

}  // namespace gpuctl::job
