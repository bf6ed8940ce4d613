#include "group.hpp"

#include <sys/wait.h>

#include <csignal>

#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/group.hpp"
#include "gpuctl/cgroup/home.hpp"
#include "gpuctl/cgroup/json.hpp"
#include "gpuctl/cgroup/sampler.hpp"
#include "leave.hpp"

namespace gpuctl::job {
namespace {

constexpr int kShellsKill = 128 + SIGKILL;  // what a shell whose command had a KILL ends with

// Where the counters of memory kills are that tell about this job.
void begin_oom_watch(Run& run) {
  if (run.group) {
    run.oom.emplace(cgroup::OomWatch::begin(
        run.fs, {run.place->mount_point, run.place->directory + "/" + run.group->name,
                 run.group->path, true}));
    return;
  }
  const Result<cgroup::Branch> branch = cgroup::branch_of_self(run.fs, "memory");
  if (!branch || !branch->dir) return;
  if (branch->is_v2()) {
    run.oom.emplace(cgroup::OomWatch::begin(
        run.fs, {branch->mount_point, branch->directory, branch->path, false}));
  } else {
    run.oom.emplace(cgroup::OomWatch::begin_v1(run.fs, branch->directory.substr(1), branch->path));
  }
}

bool looks_killed(const Report& report) {
  if (!report.wait_status) return false;
  const int status = *report.wait_status;
  return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
         (WIFEXITED(status) && WEXITSTATUS(status) == kShellsKill);
}

std::string limit_in_words(const Run& run, const cgroup::OomVerdict& verdict) {
  switch (verdict.level) {
    case cgroup::OomLevel::job:
      return run.group && run.group->memory_limit_bytes
                 ? "the job's limit of " + std::to_string(*run.group->memory_limit_bytes) + " bytes"
                 : "the job's limit";
    case cgroup::OomLevel::slot: return "the limit of the slot, `" + verdict.limit_path + "`";
    case cgroup::OomLevel::node: return "the node is out of memory";
    default: return "whose limit it was cannot be told";
  }
}

std::string in_words(const Run& run, const cgroup::OomVerdict& verdict) {
  std::string words = "the kernel's memory killer ended ";
  words += verdict.victim  ? "`" + printable(verdict.victim->name) + "` (pid " +
                                 std::to_string(verdict.victim->pid) + ")"
           : verdict.kills ? std::to_string(*verdict.kills) + " of its processes"
                           : "it";
  if (verdict.whole_group) words += ", and the job with it";
  words += ": " + limit_in_words(run, verdict);
  if (!verdict.certain)
    words += "; the counter is shared with others, so this is the likely reason";
  return words;
}

}  // namespace

void plan_group(Run& run) {
  CgroupReport& report = run.report.cgroup.emplace();
  const Result<cgroup::Home> home = cgroup::read_home(run.fs);
  if (!home) {
    run.report.cgroup.reset();
    return;
  }
  report.path = home->path;
  report.version = home->version;
  if (!run.spec.cgroups) {
    report.notes.emplace_back("no cgroup of its own: `--no-cgroups`");
    return;
  }
  Result<cgroup::Place> place = cgroup::find_place(run.fs);
  if (!place) {
    report.notes.push_back("no cgroup of its own: " + place.error().message());
    place = find_place_in_scope(run);
  }
  if (!place) {
    report.notes.push_back("no scope either: " + place.error().message());
    return;
  }
  if (!report.scope.empty()) report.notes.erase(report.notes.begin());
  run.place = std::move(*place);
  run.record.cgroup_place = run.place->directory;
  run.record.cgroup_name = cgroup::group_name(run.report.id, run.report.nonce);
}

void make_group(Run& run) {
  if (run.place) {
    Result<cgroup::JobGroup> group =
        cgroup::make_group(*run.place, run.record.cgroup_name, run.spec.limits);
    CgroupReport& report = *run.report.cgroup;
    if (group) {
      report.path = group->path;
      report.own = true;
      report.controllers = group->controllers;
      report.memory_limit_bytes = group->memory_limit_bytes;
      report.notes = group->notes;
      run.group = std::move(*group);
    } else {
      report.notes.push_back("no cgroup of its own: " + group.error().message());
    }
  }
  begin_oom_watch(run);
}

void drop_group(Run& run, const std::string& why) {
  remove_group(run);
  run.group.reset();
  CgroupReport& report = *run.report.cgroup;
  report.own = false;
  report.path = run.place->path;
  report.controllers.clear();
  report.memory_limit_bytes.reset();
  report.notes = {"no cgroup of its own: " + why};
  begin_oom_watch(run);
}

std::optional<cgroup::OneSample> sample_group(const Run& run) {
  if (!run.group) return std::nullopt;
  const Result<cgroup::Group> group = cgroup::Group::below(
      run.fs, run.place->mount_point, run.place->directory + "/" + run.group->name);
  if (!group) return std::nullopt;
  return cgroup::sample_once(run.fs, *group);
}

void read_group(Run& run) {
  const std::optional<cgroup::OneSample> sample = sample_group(run);
  if (!sample || sample->error) return;
  using cgroup::Field;
  Usage& usage = run.report.usage;
  const auto user = sample->usage.get(Field::cpu_user);
  const auto system = sample->usage.get(Field::cpu_system);
  if (user) usage.cpu_user_usec = static_cast<Usec>(*user);
  if (system) usage.cpu_system_usec = static_cast<Usec>(*system);
  run.report.cgroup->memory_peak_bytes = sample->usage.get(Field::memory_peak);
  run.report.cgroup->usage = std::make_shared<const Json>(cgroup::usage_json(*sample, "cgroup"));
}

bool judge_memory_kill(Run& run) {
  if (!run.oom) return false;
  const bool ours = run.signaller && run.signaller->count(SIGKILL) > 0;
  const cgroup::OomVerdict verdict = run.oom->judge({looks_killed(run.report), ours});
  run.report.oom = verdict;
  if (!verdict.hit_the_job()) return false;
  run.report.oom_words = in_words(run, verdict);
  run.trace.line(LogLevel::warning, run.report.oom_words);
  return true;
}

void remove_group(Run& run) {
  if (!run.group) return;
  const Result<void> removed = cgroup::remove_group(*run.place, run.group->name, run.group->inode);
  if (removed) return;
  run.report.left.push_back(run.group->path + ": " + removed.error().message());
  run.trace.line(LogLevel::warning, removed.error().message());
}

}  // namespace gpuctl::job
