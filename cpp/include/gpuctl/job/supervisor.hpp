// The supervisor: one small single-threaded process per job. It starts the payload behind the fence, watches it, ends
// it, proves that nothing of it is left, cleans up and reports. Whoever called it may die: it goes on.
//
//   Spec spec = …;                       // made by `app` from flags, configuration and environment
//   Outcome outcome = supervise(std::move(spec), sink);
//   exit(outcome.exit_code);
//
// It is the process's main job: it blocks signals, becomes a subreaper, reaps every child and sets itself
// non-dumpable, so call it once, from a process that has no other children and no threads.
// SIGTERM, SIGHUP and SIGQUIT end the job with TERM to all of it, SIGINT with INT; KILL follows at the deadline.
//
// Killed at any moment it leaves: with a pid namespace nothing (init dies with it), else processes that carry the job's
// nonce and that the next start, or `gpuctl kill --job`, ends by the records.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/log.hpp"
#include "gpuctl/cgroup/bus.hpp"
#include "gpuctl/cgroup/delegation.hpp"
#include "gpuctl/cgroup/leave_slot.hpp"
#include "gpuctl/cgroup/slot_memory.hpp"
#include "gpuctl/fence/spawn.hpp"
#include "gpuctl/job/gpu_order.hpp"
#include "gpuctl/job/report.hpp"

namespace gpuctl::job {

// How firmly the site wants a job to be kept to its own GPUs; weakest first.
enum class FenceDemand { advisory, best, strict };

struct Spec {
  std::optional<std::string> id;  // nullopt: one is made from the nonce
  unsigned resubmission = 0;
  std::vector<std::string> argv;
  std::vector<std::string> environment;  // NAME=value: the payload's, before the job's own marks

  std::optional<std::string> state_dir;
  std::optional<std::string> workdir_parent;  // nullopt: the payload runs where we are
  std::vector<std::string> inputs;            // files brought into the work directory
  bool capture_output = false;            // stdout and stderr become files of the work directory
  std::vector<std::string> keep;          // patterns of files that go to output_dir
  std::optional<std::string> output_dir;  // default ./gpuctl-ID, when there is something to keep

  bool cgroups = true;         // a cgroup of the job's own, where the slot allows it
  cgroup::GroupLimits limits;  // of the job
  cgroup::LeaveSetting leave_slot = cgroup::LeaveSetting::automatic;
  cgroup::BusPlaces bus;  // how systemd is reached; its uid is found out
  // Who has to go when several jobs of one slot run out of memory; nullopt: nobody.
  std::optional<cgroup::PreemptionPolicy> preempt = cgroup::PreemptionPolicy::relative_use;
  cgroup::Margins margins;
  std::optional<Usec> ttl;
  Usec forced_kill_timeout = 60 * kUsecPerSec;
  Usec outer_grace = 25 * kUsecPerSec;
  FenceDemand fence_demand = FenceDemand::best;
  bool fence_inside = false;  // of a container runtime: its entry program refuses to start unfenced
  fence::ProcessFence strongest_fence = fence::ProcessFence::pid_namespace;
  bool die_with_parent = false;

  std::optional<GpuOrder> gpus;  // nullopt: the job wants none
  // Of a job without a GPU; nullopt: /dev cannot be listed, or it is made once the GPUs are given.
  std::optional<fence::DevicePlan> devices;
  std::vector<std::string> withheld;  // variables that are not in `environment`, for the report
  BatchIds batch;
  std::string report_path;       // empty: nowhere
  std::string report_copy_path;  // the same, for a caller that reads it at once
  Fd events;
};

struct Outcome {
  int exit_code = 125;
  std::string report_json;
};

// `sink` gets the trace; nullptr is quiet.
Outcome supervise(Spec spec, LogSink* sink);

}  // namespace gpuctl::job
