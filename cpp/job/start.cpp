#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "fence.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/random.hpp"
#include "gpuctl/base/variables.hpp"
#include "gpuctl/job/finish.hpp"
#include "gpuctl/kill/cgroup_target.hpp"
#include "gpuctl/proc/identity.hpp"
#include "gpus.hpp"
#include "group.hpp"
#include "report_file.hpp"
#include "run.hpp"

namespace gpuctl::job {
namespace {

constexpr std::size_t kNonceBytes = 16;  // makes this run of the job unique

bool fill_identity(Run& run) {
  Report& report = run.report;
  report.nonce = random_digits(kNonceBytes);
  report.id = run.spec.id ? *run.spec.id : "run-" + report.nonce.substr(0, 12);
  report.resubmission = run.spec.resubmission;
  report.command = run.spec.argv;
  report.batch = run.spec.batch;
  report.fence.withheld = run.spec.withheld;
  report.hostname = hostname();
  if (report.nonce.empty())
    return never_started(run, "KILLED", "the kernel gives no random numbers");

  const Result<proc::Here> here = proc::read_here(run.fs);
  const Result<proc::Identity> self =
      here ? proc::identify(run.fs, *here, ::getpid()) : fail(here.error());
  if (!self)
    return never_started(run, "KILLED", "cannot tell who we are: " + self.error().message());
  run.here = *here;
  report.boot_id = self->boot_id;
  plan_group(run);
  run.signaller = std::make_unique<kill::Signaller>(run.fs, proc::shown_ticks(*self));

  run.record.id = report.id;
  run.record.resubmission = report.resubmission;
  run.record.nonce = report.nonce;
  run.record.argv = run.spec.argv;
  run.record.supervisor = *self;
  run.record.report_path = run.spec.report_path;
  if (run.spec.gpus) run.record.gpu_root = run.spec.gpus->root;
  return true;
}

// Takes the job's name. A dead job of the same name is finished first; a living one keeps it.
Result<JobDir> claim_name(Run& run) {
  Result<JobDir> claimed = run.state->claim(run.report.id, run.report.resubmission);
  if (claimed || claimed.error().code != ErrorCode::busy) return claimed;
  Result<JobDir> earlier =
      run.state->open_job(run.report.id + "." + std::to_string(run.report.resubmission));
  if (!earlier) return earlier;
  if (!earlier->is_ours()) {
    return fail(ErrorCode::busy, earlier->path,
                "a job of this id is running: choose another id or --resubmission");
  }
  if (!finish_job(run.fs, *earlier, 0).gone) {
    return fail(ErrorCode::busy, earlier->path,
                "processes of an earlier job of this id cannot be ended");
  }
  if (Result<void> removed = run.state->remove(std::move(*earlier)); !removed)
    return fail(removed.error());
  return run.state->claim(run.report.id, run.report.resubmission);
}

bool open_state(Run& run) {
  Result<StateDir> state = StateDir::open(run.spec.state_dir);
  if (!state) return never_started(run, "SANDBOX_CREATE", state.error().message());
  run.state = std::move(*state);
  for (const std::string& words : finish_dead_jobs(run.fs, *run.state))
    run.trace.line(LogLevel::info, words);

  Result<JobDir> claimed = claim_name(run);
  if (!claimed) return never_started(run, "SANDBOX_CREATE", claimed.error().message());
  run.directory = std::move(*claimed);
  const int dir_fd = run.directory->dir.get();
  if (Result<void> written = write(dir_fd, run.record); !written) {
    return never_started(run, "SANDBOX_CREATE",
                         "cannot record the job: " + written.error().message());
  }
  if (Result<Fd> trace =
          open_at(dir_fd, kTraceFile, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600)) {
    run.trace.keep_in(std::move(*trace));
  }
  if (Result<ControlServer> control = ControlServer::listen(dir_fd)) {
    run.control = std::move(*control);
  } else {
    run.report.problems.push_back("no control socket: " + control.error().message());
  }
  return true;
}

Result<void> record_workdir(Run& run, const Workdir& workdir) {
  run.record.workdir_parent = workdir.parent;
  run.record.workdir_name = workdir.name;
  run.record.workdir_made_as = workdir.made_as;
  run.record.workdir_id = workdir.id;
  return write(run.directory->dir.get(), run.record);
}

bool make_sandbox(Run& run) {
  if (!run.spec.workdir_parent) return true;
  Workdir workdir = plan_workdir(*run.spec.workdir_parent, run.report.id, run.report.nonce);
  run.report.workdir = workdir.path();
  Result<void> done = record_workdir(run, workdir);
  if (done) done = make_workdir(workdir);
  if (workdir.fd) run.workdir = std::move(workdir);  // from here on it is removed, whatever fails
  if (done) done = record_workdir(run, *run.workdir);
  if (done) done = publish_workdir(*run.workdir);
  if (!done) return never_started(run, "SANDBOX_CREATE", done.error().message());
  run.trace.line(LogLevel::trace, "work directory " + run.workdir->path());
  if (Result<void> brought = bring_inputs(*run.workdir, run.spec.inputs); !brought) {
    return never_started(run, "INPUT_FILES", brought.error().message());
  }
  return true;
}

void mark_environment(Run& run) {
  std::vector<std::string>& environment = run.spec.environment;
  set_variable(environment, kMarkVariable, run.report.nonce);
  if (run.spec.id || !find_variable(environment, "ALIEN_PROC_ID")) {
    set_variable(environment, "ALIEN_PROC_ID", run.report.id);
  }
  if (run.workdir) set_variable(environment, "GPUCTL_JOB_WORKDIR", run.workdir->path());
}

Result<Fd> open_capture(Run& run, const char* name) {
  return open_at(run.workdir->fd.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
}

Result<void> record_payload(Run& run) {
  const fence::Child& child = *run.child;
  PayloadRecord payload;
  payload.fence = name_of(child.fence);
  const Result<proc::Identity> init = proc::identify(run.fs, run.here, child.pid);
  if (!init) return fail(init.error());
  const Result<proc::Identity> process = proc::identify(run.fs, run.here, child.payload);
  if (!process) return fail(process.error());
  payload.init = *init;
  payload.payload = *process;
  if (child.fence == fence::ProcessFence::pid_namespace) {
    const Result<std::uint64_t> pid_namespace = proc::read_namespace(run.fs, child.payload, "pid");
    if (pid_namespace) payload.pid_namespace = *pid_namespace;
  }
  if (run.report.cgroup) payload.cgroup_path = run.report.cgroup->path;
  if (run.group) payload.cgroup_inode = run.group->inode;
  payload.ttl_deadline = run.ttl_deadline;
  payload.lease_id = run.report.lease_id;
  lease::Payload place;
  if (child.fence == fence::ProcessFence::pid_namespace) place.init = payload.init;
  if (run.group) {
    place.cgroup_path = payload.cgroup_path;
    place.cgroup_inode = payload.cgroup_inode;
  }
  if (Result<void> noted = note_payload(run, place); !noted) return noted;
  return write(run.directory->dir.get(), payload);
}

std::unique_ptr<kill::CgroupTarget> group_target(const Run& run) {
  if (!run.group) return nullptr;
  Result<Fd> dir = open_at(run.group->dir.get(), ".", O_RDONLY | O_DIRECTORY);
  if (!dir) return nullptr;
  return std::make_unique<kill::CgroupTarget>(run.fs, std::move(*dir), run.group->path);
}

bool launch(Run& run) {
  mark_environment(run);
  Result<Fd> out = Fd();
  Result<Fd> err = Fd();
  if (run.spec.capture_output && run.workdir) {
    out = open_capture(run, "stdout");
    err = open_capture(run, "stderr");
    if (!out || !err)
      return never_started(run, "SANDBOX_CREATE", (!out ? out : err).error().message());
  }
  fence::SpawnRequest request;
  request.argv = run.spec.argv;
  request.environment = run.spec.environment;
  request.directory_fd = run.workdir ? run.workdir->fd.get() : -1;
  request.directory = run.workdir ? run.workdir->path() : "";
  request.stdout_fd = out->get();
  request.stderr_fd = err->get();
  request.signal_mask = run.signal_mask;
  want_fence(run, request);
  make_group(run);
  if (run.group) request.cgroup_fd = run.group->dir.get();
  Result<fence::Child> child = fence::spawn(request);
  if (!child && run.group) {
    drop_group(run, child.error().message());
    request.cgroup_fd = -1;
    child = fence::spawn(request);
  }
  if (!child) return never_started(run, "FENCE", child.error().message());
  // From here on nobody of our own uid may trace us or read our memory; before, our child had to write its id maps.
  ::prctl(PR_SET_DUMPABLE, 0);
  run.child = std::move(*child);
  const bool has_init = run.child->fence == fence::ProcessFence::pid_namespace;
  run.target =
      std::make_unique<kill::Below>(run.fs, has_init ? run.child->pid : 0, group_target(run));
  run.engine = std::make_unique<kill::Engine>(run.fs, *run.signaller, *run.target);
  note_fence(run);
  if (run.spec.ttl) run.ttl_deadline = monotonic_usec() + *run.spec.ttl;
  if (Result<void> recorded = record_payload(run); !recorded) {
    return never_started(run, "SANDBOX_CREATE",
                         "cannot record the payload: " + recorded.error().message());
  }
  return fence_is_enough(run);
}

void say_fence(Run& run) {
  for (const std::string& note : run.report.fence.notes)
    run.trace.line(LogLevel::warning, "fence: " + note);
  if (!run.report.fence.signals_kept_in) {
    run.trace.line(LogLevel::warning,
                   run.report.fence.seccomp
                       ? "the payload has a session of its own only: it can signal this user's "
                         "processes one by one"
                       : "the payload has a session of its own only: a `kill -9 -1` of it would "
                         "reach this user's processes");
  }
}

}  // namespace

bool never_started(Run& run, const char* kill_reason_name, const std::string& detail,
                   int exit_code) {
  run.report.state = State::never_started;
  run.report.kill_reason = &kill_reason(kill_reason_name);
  run.report.kill_detail = detail;
  run.report.exit_code = exit_code;
  run.trace.line(LogLevel::error, detail);
  run.trace.event("verdict", {{"kill_reason", kill_reason_name}, {"detail", detail}});
  return false;
}

bool start(Run& run) {
  run.trace.mark("accepted");
  if (!fill_identity(run) || !open_state(run) || !take_gpus(run) || !make_sandbox(run) ||
      !launch(run))
    return false;
  say_fence(run);
  run.started_monotonic = monotonic_usec();
  run.report.started_at = realtime_usec();
  if (Result<void> released = fence::release(*run.child); !released) {
    return never_started(run, "KILLED", released.error().message());
  }
  return true;
}

}  // namespace gpuctl::job
