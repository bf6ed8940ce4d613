#include "gpuctl/job/supervisor.hpp"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>

#include "gpuctl/base/json.hpp"
#include "gpus.hpp"
#include "group.hpp"
#include "recorded.hpp"
#include "relay.hpp"
#include "report_file.hpp"
#include "run.hpp"

namespace gpuctl::job {
namespace {

constexpr int kExitTtl = 124;
constexpr int kExitNotExecutable = 126;
constexpr int kExitNotFound = 127;
constexpr std::size_t kManyUnreaped = 100;  // a shell's pipeline leaves a few for a moment
constexpr Usec kEscapeeGrace = 2 * kUsecPerSec;

// One that the caller ignores stays ignored (nohup, background jobs of a shell).
sigset_t signals_to_handle() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int number : {SIGCHLD, SIGPIPE, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2})
    ::sigaddset(&wanted, number);
  for (const int number : {SIGINT, SIGHUP}) {
    struct sigaction now{};
    ::sigaction(number, nullptr, &now);
    if (now.sa_handler != SIG_IGN) ::sigaddset(&wanted, number);
  }
  return wanted;
}

void become_supervisor(Run& run) {
  run.handled_signals = signals_to_handle();
  ::sigprocmask(SIG_BLOCK, &run.handled_signals, &run.signal_mask);
  ::signal(SIGCHLD, SIG_DFL);  // an ignored SIGCHLD would reap behind our back
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  if (run.spec.die_with_parent) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
}

// A payload that was made and may not run: end it, so that the ways of a job that ran apply.
void end_unreleased(Run& run) {
  if (!run.child) return;
  run.engine->force();
  while (retry_on_interrupt([] { return ::waitpid(-1, nullptr, __WALL); }) > 0) continue;
  run.child.reset();
}

int exit_code_of(const Report& report) {
  if (report.kill_reason != nullptr && report.kill_reason->code == kill_reason("TTL").code)
    return kExitTtl;
  if (!report.wait_status) return 128 + SIGKILL;
  if (WIFEXITED(*report.wait_status)) return WEXITSTATUS(*report.wait_status);
  return 128 + WTERMSIG(*report.wait_status);
}

void judge_end(Run& run) {
  Report& report = run.report;
  report.wall_usec = monotonic_usec() - run.started_monotonic;
  if (run.exec_errno) {
    const bool missing = *run.exec_errno == ENOENT;
    const Error error = system_error(*run.exec_errno, run.spec.argv[0], "cannot execute");
    report.wait_status.reset();
    report.started_at.reset();
    report.problems.push_back(error.message());
    run.trace.line(LogLevel::error, error.message());
    report.state = State::never_started;
    report.exit_code = missing ? kExitNotFound : kExitNotExecutable;
    return;
  }
  report.kill_reason = run.ending.reason();
  report.kill_detail = run.ending.detail();
  if (judge_memory_kill(run) && report.kill_reason == nullptr) {
    report.kill_reason = &kill_reason("OOM_SYSTEM");
    report.kill_detail = report.oom_words;
  }
  report.exit_code = exit_code_of(report);
  report.state = run.all_reaped ? State::done : State::survivors;
}

void report_kill(Run& run) {
  const bool anything_done =
      run.signaller->count(SIGTERM) + run.signaller->count(SIGINT) + run.signaller->count(SIGKILL) >
      0;
  if (!anything_done && run.ending.reason() == nullptr && run.all_reaped) return;
  kill::Report kill = run.engine->report(run.ending);
  if (kill.unreaped >= kManyUnreaped) {
    run.report.problems.push_back(
        std::to_string(kill.unreaped) +
        " processes of the job had ended and were never reaped by their parents: each counted "
        "against its limits of processes (RLIMIT_NPROC, pids.max)");
    run.trace.line(LogLevel::warning, run.report.problems.back());
  }
  run.report.kill = std::move(kill);
}

// A kill also means those whom another service started for the payload, with its environment: they are nobody's
// children here.
void end_escapees(Run& run) {
  Recorded escapees(run.fs, run.record, std::nullopt);
  if (run.ending.reason() == nullptr || !run.all_reaped ||
      escapees.members(kill::Target::Why::ask).empty())
    return;
  kill::Engine engine(run.fs, *run.signaller, escapees);
  kill::Schedule schedule;
  schedule.begin(SIGTERM, kEscapeeGrace, monotonic_usec());
  kill::Report kill = kill::run_to_end(engine, schedule);
  kill.method = run.target->method() + ", records";
  kill.elapsed_usec = monotonic_usec() - run.ending.began_at();
  if (!kill.survivors.empty()) run.report.state = State::survivors;
  run.report.kill = std::move(kill);
}

std::vector<std::string> patterns_to_keep(const Spec& spec) {
  std::vector<std::string> patterns = spec.keep;
  if (spec.capture_output) {
    patterns.emplace_back("stdout");
    patterns.emplace_back("stderr");
  }
  return patterns;
}

// Absolute: whoever reads the report need not be where we were started.
std::string beside_caller(const std::string& name) {
  std::array<char, PATH_MAX> here{};
  return ::getcwd(here.data(), here.size()) == nullptr ? name
                                                       : std::string(here.data()) + "/" + name;
}

void keep_output(Run& run) {
  const std::vector<std::string> patterns = patterns_to_keep(run.spec);
  if (!run.workdir || patterns.empty()) return;
  const std::string target = run.spec.output_dir.value_or(beside_caller("gpuctl-" + run.report.id));
  run.report.output_dir = target;
  run.report.kept = keep_outputs(*run.workdir, patterns, target, run.report.problems);
  run.trace.line(LogLevel::trace,
                 "kept " + std::to_string(run.report.kept.size()) + " files in " + target);
}

void clean_workdir(Run& run) {
  if (!run.workdir) return;
  const Result<void> removed =
      remove_workdir(run.workdir->parent, run.workdir->name, run.workdir->made_as, run.workdir->id);
  if (removed) {
    run.report.cleaned.push_back(run.workdir->path());
    return;
  }
  run.report.left.push_back(run.workdir->path() + ": " + removed.error().message());
  run.trace.line(LogLevel::warning,
                 "the work directory could not be removed: " + removed.error().message());
}

void say_end(Run& run) {
  const Report& report = run.report;
  run.trace.mark("ended");
  if (!report.started_at) return;
  std::string words = "job ended";
  if (report.wait_status && WIFEXITED(*report.wait_status)) {
    words += ": exit code " + std::to_string(WEXITSTATUS(*report.wait_status));
  } else if (report.wait_status) {
    words += ": signal " + std::to_string(WTERMSIG(*report.wait_status));
  }
  if (report.kill_reason != nullptr)
    words += std::string(" (") + report.kill_reason->name + ": " + report.kill_detail + ")";
  words += ", wall time " + format_duration(report.wall_usec);
  run.trace.line(LogLevel::trace, words);
  if (report.state == State::survivors) {
    run.trace.line(LogLevel::error,
                   std::to_string(report.kill->survivors.size()) + " processes could not be ended");
  }
}

void answer_clients(Run& run, const Json& report) {
  if (!run.control) return;
  // Kill requests that came in the last moments are answered too.
  for (const ControlRequest& request : run.control->receive())
    run.waiting_clients.push_back(request.client);
  const Json reply = {
      {"kill", report["kill"]}, {"state", report["state"]}, {"exit", report["exit"]}};
  for (const int client : run.waiting_clients) run.control->answer(client, reply);
}

bool write_report(Run& run, const std::string& path, const std::string& text) {
  if (path.empty()) return true;
  const Result<void> written = write_report_file(path, text);
  if (!written)
    run.trace.line(LogLevel::error, "the report was not written: " + written.error().message());
  return written.has_value();
}

// First into the job's directory: from then on whoever finds the job delivers this report and makes none of its own.
// The directory outlives the job only while the report was not delivered, or while something of the job lives.
void deliver(Run& run, const Json& json, const std::string& text) {
  const bool recorded =
      !run.directory || replace_file(run.directory->dir.get(), kReportFile, text).has_value();
  write_report(run, run.spec.report_copy_path, text);
  const bool delivered = write_report(run, run.spec.report_path, text);
  if (run.trace.is_followed()) run.trace.event("end", {{"report", json}});
  if (!run.directory) return;
  answer_clients(run, json);
  if (!delivered || !recorded || run.report.state == State::survivors) return;
  if (Result<void> removed = run.state->remove(std::move(*run.directory)); !removed) {
    run.trace.line(LogLevel::warning, removed.error().message());
  }
}

}  // namespace

Outcome conclude(Run& run) {
  if (run.child) {
    judge_end(run);
    report_kill(run);
    end_escapees(run);
    read_group(run);
  }
  if (run.report.state != State::survivors) remove_group(run);
  if (run.report.state != State::survivors) {
    run.tether.reset();
    keep_output(run);
    clean_workdir(run);
  }
  release_gpus(run);
  say_end(run);
  run.report.ended_at = realtime_usec();
  run.report.timeline = run.trace.timeline();
  run.report.trace = run.trace.lines();
  const Json json = to_json(run.report);
  const std::string text = to_text(json);
  deliver(run, json, text);
  return Outcome{run.report.exit_code, text};
}

Outcome supervise(Spec spec, LogSink* sink) {
  if (has_children()) {
    if (const std::optional<int> relayed = relay_to_fresh_process(spec.die_with_parent))
      return Outcome{*relayed, ""};
  }
  Result<HostFs> fs = HostFs::open("/");
  if (!fs) {
    if (sink != nullptr) sink->log(LogLevel::error, fs.error().message());
    return Outcome{};
  }
  Run run(std::move(spec), sink, std::move(*fs));
  become_supervisor(run);
  if (start(run)) {
    watch(run);
  } else {
    end_unreleased(run);
  }
  return conclude(run);
}

}  // namespace gpuctl::job
