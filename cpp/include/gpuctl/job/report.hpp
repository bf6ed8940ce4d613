// Report: what became of one job, for the machine (docs/schema/job-report.json) and for the people who read it.
//
// The schema is that of the whole life of a job; what a run had no use for is null or empty, never left out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/json_fwd.hpp"
#include "gpuctl/base/log.hpp"
#include "gpuctl/cgroup/oom.hpp"
#include "gpuctl/fence/device_fence.hpp"
#include "gpuctl/job/kill_reason.hpp"
#include "gpuctl/kill/report.hpp"

namespace gpuctl::job {

// How far the job came. `survivors`: over, and something of it could not be ended.
enum class State { never_started, done, survivors };

struct TimelineEntry {
  Usec at = 0;  // real time
  std::string event;
};

struct TraceLine {
  Usec at = 0;  // real time
  LogLevel level = LogLevel::trace;
  std::string text;
};

// CPU time and memory over all processes of the job, as the kernel hands them to whoever reaps (getrusage(2)).
struct Usage {
  std::optional<Usec> cpu_user_usec;
  std::optional<Usec> cpu_system_usec;
  std::optional<std::uint64_t> memory_peak_bytes;
  std::string
      memory_source;  // "largest_process", or "process_tree" when a sample of all together was larger
};

struct FenceReport {
  std::optional<std::string> demanded;  // strict, best, advisory; not in the records of a dead job
  std::optional<std::string> process;   // pid_namespace, session
  std::string device =
      "advisory";  // what keeps the job off other GPUs; "advisory": environment masks only
  fence::DeviceProof proof;  // tried by the payload itself, before its exec
  bool landlock = false;
  bool seccomp = false;
  bool signals_kept_in = false;       // a `kill -9 -1` of it reaches nothing outside
  std::vector<std::string> withheld;  // variables of the pilot that it did not get
  std::vector<std::string> notes;     // why it is not stronger
};

// The cgroup that the payload ran in.
struct CgroupReport {
  std::string path;
  std::string version;  // see cgroup::Home
  bool own = false;     // made for this job; else it is the supervisor's, shared with others
  std::string scope;    // of systemd, made for this job when the slot had no room; empty: none
  std::vector<std::string> controllers;
  std::optional<std::uint64_t> memory_limit_bytes;  // memory.max of the job's own group
  std::optional<std::uint64_t> memory_peak_bytes;   // page cache included
  std::shared_ptr<const Json> usage;  // of its own, after the last process: cgroup::usage_json
  std::vector<std::string> notes;     // what could not be had, and why
};

// What gives this job its name in the batch system that gpuctl runs in.
struct BatchIds {
  std::optional<std::string> slurm_job_id;
  std::optional<std::string> htcondor_global_job_id;
};

struct Report {
  std::string id;
  unsigned resubmission = 0;
  std::string nonce;  // 128 bits, hexadecimal
  std::vector<std::string> command;
  std::string hostname;
  std::string boot_id;

  State state = State::never_started;
  std::optional<Usec> started_at;
  Usec ended_at = 0;
  std::optional<int> wait_status;           // of the payload, as waitpid(2) has it
  int exit_code = 125;                      // of gpuctl itself
  const KillReason* kill_reason = nullptr;  // nullptr: it ended by itself
  std::string kill_detail;
  Usec wall_usec = 0;
  Usage usage;

  std::string gpus_json = "[]";  // GPU records, rendered
  std::string lease_id;          // of what it was given; empty: nothing
  std::optional<CgroupReport> cgroup;
  std::optional<cgroup::OomVerdict> oom;  // nullopt: nobody counted
  std::string oom_words;                  // the same for people; empty when the job was not hit
  FenceReport fence;
  std::optional<kill::Report> kill;
  BatchIds batch;

  std::optional<std::string> workdir;
  std::optional<std::string> output_dir;
  std::vector<std::string> kept;     // files in output_dir
  std::vector<std::string> cleaned;  // what was removed
  std::vector<std::string> left;     // what could not be
  std::vector<std::string> problems;
  std::vector<TimelineEntry> timeline;
  std::vector<TraceLine> trace;
};

Json to_json(const Report& report);

}  // namespace gpuctl::job
