#include "gpuctl/job/finish.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

#include "gpuctl/base/json.hpp"
#include "gpuctl/job/report.hpp"
#include "gpuctl/job/workdir.hpp"
#include "gpuctl/proc/walk.hpp"
#include "records.hpp"
#include "report_file.hpp"

namespace gpuctl::job {
namespace {

constexpr std::size_t kMaxReportBytes = std::size_t{64} << 20;
constexpr time_t kReportKeptSeconds = 86400;  // a day
constexpr Usec kStartGrace =
    2 * kUsecPerSec;  // a start of another job does not wait longer for a dead one
constexpr Usec kGiveUpAfter = 60 * kUsecPerSec;

// Processes of the job that can be found now: everyone below its init, and everyone who carries its mark.
std::vector<proc::Stat> members_of(const HostFs& fs, const JobRecord& job,
                                   const Result<PayloadRecord>& payload) {
  std::vector<proc::Stat> members;
  if (payload && proc::judge(fs, payload->init) == proc::Liveness::alive) {
    if (const Result<proc::Stat> init = proc::read_stat(fs, payload->init.pid))
      members.push_back(*init);
    for (proc::Stat& each : proc::descendants(fs, payload->init.pid))
      members.push_back(std::move(each));
  }
  for (proc::Stat& each : proc::marked(fs, mark_of(job.nonce), job.supervisor.start_ticks)) {
    const auto same = [&](const proc::Stat& known) { return known.pid == each.pid; };
    if (std::none_of(members.begin(), members.end(), same)) members.push_back(std::move(each));
  }
  const auto is_dead = [](const proc::Stat& each) { return each.is_dead(); };
  members.erase(std::remove_if(members.begin(), members.end(), is_dead), members.end());
  return members;
}

void pause_for(Usec duration) { ::poll(nullptr, 0, static_cast<int>(duration / 1000)); }

// TERM, then KILL in rounds, until two looks in a row find nobody.
kill::Report end_members(const HostFs& fs, const JobRecord& job,
                         const Result<PayloadRecord>& payload, Usec grace) {
  const Usec began = monotonic_usec();
  kill::Signaller signaller(fs, job.supervisor.start_ticks);
  kill::Report report;
  report.method = "records";
  std::vector<proc::Stat> members;
  unsigned empty_looks = 0;
  while (empty_looks < 2 && monotonic_usec() < began + grace + kGiveUpAfter) {
    members = members_of(fs, job, payload);
    empty_looks = members.empty() ? empty_looks + 1 : 0;
    if (members.empty()) continue;
    if (monotonic_usec() < began + grace) {
      kill::ask_to_end(signaller, members, SIGTERM);
    } else {
      kill::kill_now(signaller, members);
    }
    pause_for(std::max<Usec>(kill::round_delay(++report.rounds), 10'000));
  }
  report.signalled = signaller.count(SIGTERM);
  report.killed = signaller.count(SIGKILL);
  report.refused = signaller.refused();
  report.survivors = kill::describe_survivors(fs, members);
  report.elapsed_usec = monotonic_usec() - began;
  return report;
}

// With a pid namespace the death of its init proves the end; else only that nobody with the job's mark is found.
std::string proof_of(const HostFs& fs, const Result<PayloadRecord>& payload) {
  if (!payload) return "identities";
  const bool init_dead = proc::judge(fs, payload->init) == proc::Liveness::dead;
  return payload->pid_namespace && init_dead ? "pid_namespace" : "identities";
}

Report report_of(const JobRecord& job, const JobDir& directory, const kill::Report& kill) {
  Report report;
  report.id = job.id;
  report.resubmission = job.resubmission;
  report.nonce = job.nonce;
  report.command = job.argv;
  report.hostname = hostname();
  report.boot_id = job.supervisor.boot_id;
  report.state = kill.survivors.empty() ? State::done : State::survivors;
  report.ended_at = realtime_usec();
  report.exit_code = 3;  // what the payload's status was, nobody knows any more
  const Result<KillRecord> asked = read_kill_record(directory.dir.get());
  const KillReason* reason = asked ? find_kill_reason(asked->reason) : nullptr;
  report.kill_reason = reason != nullptr ? reason : &kill_reason("KILLED");
  report.kill_detail = "its supervisor died; finished by its records";
  report.kill = kill;
  report.problems.emplace_back(
      "the supervisor died before the job was over: exit status and usage are unknown");
  return report;
}

void clean_workdir(const JobRecord& job, Report& report) {
  if (!job.workdir_parent) return;
  const std::string path = *job.workdir_parent + "/" + job.workdir_name;
  report.workdir = path;
  const Result<void> removed =
      remove_workdir(*job.workdir_parent, job.workdir_name, job.workdir_made_as, job.workdir_id);
  if (removed || removed.error().code == ErrorCode::not_found) {
    report.cleaned.push_back(path);
  } else {
    report.left.push_back(path + ": " + removed.error().message());
  }
}

bool is_older_than(int dir_fd, const char* name, time_t seconds) {
  struct stat status{};
  return ::fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         status.st_mtime + seconds < ::time(nullptr);
}

bool has_report(int dir_fd) {
  return ::faccessat(dir_fd, kReportFile, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// Hands the report of a job to whom it was promised; true when that was done.
bool deliver(const JobRecord& job, const std::string& text, std::vector<std::string>& problems) {
  if (job.report_path.empty()) return false;
  const Result<void> written = write_report_file(job.report_path, text);
  if (!written) problems.push_back(written.error().message());
  return written.has_value();
}

// The job was over and reported when its supervisor died, or its report found no reader, or survivors have ended since.
Finished already_over(const HostFs& fs, const JobDir& directory, const JobRecord& job,
                      const Result<PayloadRecord>& payload) {
  Finished finished;
  finished.gone = true;
  finished.kill.method = "already over";
  finished.kill.proof = proof_of(fs, payload);
  Report unused;
  clean_workdir(job, unused);
  const Result<Fd> fd = open_at(directory.dir.get(), kReportFile, O_RDONLY | O_NOFOLLOW);
  const Result<std::string> text =
      fd ? read_all(fd->get(), kMaxReportBytes, kReportFile) : fail(fd.error());
  if (text) finished.delivered = deliver(job, *text, finished.problems);
  return finished;
}

// Why nothing can be said about the job's processes from here, or empty.
std::string cannot_judge(const proc::Here& here, const JobRecord& job) {
  if (here.boot_id != job.supervisor.boot_id || here.pid_namespace == job.supervisor.pid_namespace)
    return {};
  if (here.pid_namespace == proc::kInitialPidNamespace)
    return {};  // all processes of the node are visible from there
  return "it ran in another pid namespace (" + std::to_string(job.supervisor.pid_namespace) +
         "), whose processes cannot be seen from here: end it from there or from the node itself";
}

Finished end_and_report(const HostFs& fs, const JobDir& directory, const JobRecord& job,
                        const Result<PayloadRecord>& payload, bool same_boot, Usec grace) {
  Finished finished;
  if (same_boot) {
    finished.kill = end_members(fs, job, payload, grace);
  } else {
    finished.kill.method = "another boot";
  }
  finished.gone = finished.kill.survivors.empty();
  finished.kill.proof = finished.gone ? proof_of(fs, payload) : "";

  Report report = report_of(job, directory, finished.kill);
  if (finished.gone) clean_workdir(job, report);
  const std::string text = to_text(to_json(report));
  if (const Result<void> written = replace_file(directory.dir.get(), kReportFile, text); !written) {
    finished.problems.push_back(written.error().message());
  }
  finished.delivered = deliver(job, text, finished.problems);
  return finished;
}

std::string finish_one(const HostFs& fs, StateDir& state, JobDir job) {
  const std::string name = job.name;
  const Finished finished = finish_job(fs, job, kStartGrace);
  if (!finished.gone) {
    const std::string why =
        finished.problems.empty() ? "processes survived" : finished.problems.front();
    return "job `" + name + "` of a dead supervisor could not be finished: " + why;
  }
  // Whoever wants to know what became of a job without a place for its report has a day to ask.
  const bool unread =
      has_report(job.dir.get()) && !is_older_than(job.dir.get(), kReportFile, kReportKeptSeconds);
  if (finished.delivered || !unread) {
    if (const Result<void> removed = state.remove(std::move(job)); !removed)
      return removed.error().message();
  }
  if (!finished.was_running) return {};
  return "finished job `" + name +
         "`, whose supervisor had died: " + std::to_string(finished.kill.killed) +
         " processes were still there";
}

}  // namespace

Finished finish_job(const HostFs& fs, const JobDir& directory, Usec grace) {
  Finished finished;
  const Result<JobRecord> job = read_job_record(directory.dir.get());
  if (!job) {
    // Without its record nothing of it was started: the record comes first.
    finished.gone = job.error().code == ErrorCode::not_found;
    if (!finished.gone) finished.problems.push_back(job.error().message());
    return finished;
  }
  const Result<proc::Here> here = proc::read_here(fs);
  const std::string obstacle = here ? cannot_judge(*here, *job) : here.error().message();
  if (!obstacle.empty()) {
    finished.problems.push_back(obstacle);
    return finished;
  }
  const Result<PayloadRecord> payload = read_payload_record(directory.dir.get());
  if (has_report(directory.dir.get()) && members_of(fs, *job, payload).empty()) {
    return already_over(fs, directory, *job, payload);
  }
  finished =
      end_and_report(fs, directory, *job, payload, here->boot_id == job->supervisor.boot_id, grace);
  finished.was_running = true;
  return finished;
}

std::vector<std::string> finish_dead_jobs(const HostFs& fs, StateDir& state) {
  state.sweep();
  std::vector<std::string> words;
  for (const std::string& name : state.jobs().value_or(std::vector<std::string>())) {
    Result<JobDir> job = state.open_job(name);
    if (!job || !job->is_ours()) continue;
    std::string told = finish_one(fs, state, std::move(*job));
    if (!told.empty()) words.push_back(std::move(told));
  }
  return words;
}

}  // namespace gpuctl::job
