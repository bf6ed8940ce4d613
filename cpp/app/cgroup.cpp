// gpuctl cgroup: where a process or cgroup is, what it may use, what it uses.
#include <csignal>
#include <ctime>

#include "cgroup_text.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/json.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

using cgroup::Group;
using cgroup::OneSample;

constexpr Usec kShortestWatch = 10'000;

// What was asked for, checked.
struct Question {
  std::string operand;       // empty: we ourselves
  std::optional<pid_t> pid;  // where the operand is one
  bool processes = false;
  std::optional<Usec> interval;
  std::optional<std::uint64_t> count;
};

Failure misuse(const std::string& words) { return fail(ErrorCode::usage, "", words); }

Result<std::optional<Usec>> interval_in(const Invocation& invocation) {
  const std::optional<std::string> text = invocation.last("watch");
  if (!text) return std::optional<Usec>();
  const Result<Usec> interval = parse_duration_usec(*text, "--watch");
  if (!interval) return fail(interval.error());
  return std::optional<Usec>(std::max(*interval, kShortestWatch));
}

Result<std::optional<std::uint64_t>> count_in(const Invocation& invocation) {
  const std::optional<std::string> text = invocation.last("count");
  if (!text) return std::optional<std::uint64_t>();
  if (!invocation.has("watch")) return misuse("`--count` is for `--watch DUR`");
  const Result<std::uint64_t> count = parse_unsigned(*text, "--count");
  if (!count) return fail(count.error());
  if (*count == 0) return misuse("`--count` must be at least 1");
  return std::optional<std::uint64_t>(*count);
}

Result<std::optional<pid_t>> pid_in(const std::string& operand) {
  if (operand.empty() || operand.front() == '/') return std::optional<pid_t>();
  const Result<std::uint64_t> pid = parse_unsigned(operand, "PID", 10, 0x7fffffff);
  if (!pid || *pid == 0)
    return misuse("`" + printable(operand) +
                  "` is neither the number of a process nor the path of a cgroup, which begins "
                  "with `/`");
  return std::optional<pid_t>(static_cast<pid_t>(*pid));
}

Result<Question> question_of(const Invocation& invocation) {
  if (invocation.operands.size() > 1)
    return misuse("`cgroup` takes one PID or PATH; see `gpuctl cgroup --help`");
  Question question;
  if (!invocation.operands.empty()) {
    question.operand = invocation.operands.front();
    if (question.operand.empty()) return misuse("an empty PATH, leave it out for your own cgroup");
  }
  Result<std::optional<pid_t>> pid = pid_in(question.operand);
  if (!pid) return fail(pid.error());
  question.pid = *pid;
  question.processes = invocation.has("processes");
  if (question.processes && !question.pid)
    return misuse("`--processes` needs the PID whose descendants are to be counted");
  const Result<std::optional<Usec>> interval = interval_in(invocation);
  if (!interval) return fail(interval.error());
  question.interval = *interval;
  const Result<std::optional<std::uint64_t>> count = count_in(invocation);
  if (!count) return fail(count.error());
  question.count = *count;
  return question;
}

Result<Group> find_group(const HostFs& fs, const Question& question) {
  if (question.pid) return Group::of_process(fs, *question.pid);
  if (question.operand.empty()) return Group::of_self(fs);
  return Group::at(fs, question.operand);
}

cgroup::SlotEnv slot_env(const Context& context, const HostFs& fs, const Question& question,
                         const Group& group) {
  if (question.operand.empty() && fs.is_live())
    return cgroup::SlotEnv::from(context.environment.entries);
  return group.pid() ? cgroup::read_slot_env(fs, *group.pid()) : cgroup::SlotEnv();
}

// Samples of the cgroup, or of the process and its descendants where it has no directory.
class Meter {
 public:
  Meter(const HostFs& fs, const Group& group, bool processes)
      : fs_(fs), pid_(group.pid()), processes_(processes || (pid_ && !group.has_directory())) {
    if (!processes_) sampler_.add(fs, group);
  }

  const char* source() const { return processes_ ? "processes" : "cgroup"; }

  OneSample sample() {
    if (processes_) return cgroup::sample_processes(fs_, *pid_);
    const cgroup::Sample& now = sampler_.sample();
    return {now.rows[0], now.devices[0], now.errors[0]};
  }

 private:
  const HostFs& fs_;
  std::optional<pid_t> pid_;
  bool processes_;
  cgroup::Sampler sampler_;
};

// INT and TERM end a watch between two samples: blocked, and taken while we wait.
class Interruptions {
 public:
  Interruptions() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    sigprocmask(SIG_BLOCK, &set_, nullptr);
  }

  // True when one came before `deadline`.
  bool wait_until(Usec deadline) const {
    while (true) {
      const Usec left = std::max<Usec>(0, deadline - monotonic_usec());
      const timespec time{left / kUsecPerSec, left % kUsecPerSec * 1000};
      if (sigtimedwait(&set_, nullptr, &time) > 0) return true;
      if (monotonic_usec() >= deadline) return false;
    }
  }

 private:
  sigset_t set_{};
};

bool is_absence(const Error& error) {
  return error.code == ErrorCode::not_found || error.code == ErrorCode::vanished;
}

int watch(const Context& context, const Question& question, const Group& group, Meter& meter) {
  const Interruptions interruptions;
  if (!context.json && !context.quiet) {
    if (print(watch_head(), 0) != 0) return 3;
  }
  OneSample before = meter.sample();
  if (before.error) return complain(*before.error, is_absence(*before.error) ? 1 : 3);
  Usec next = monotonic_usec();
  for (std::uint64_t done = 0; !question.count || done < *question.count; ++done) {
    // After a stop or a suspended terminal there is no catching up.
    next = std::max(next + *question.interval, monotonic_usec());
    if (interruptions.wait_until(next)) return 0;
    OneSample now = meter.sample();
    if (now.error) return complain(*now.error, is_absence(*now.error) ? 1 : 3);
    const std::string line = context.json ? to_line(sample_json(group, before, now, meter.source()))
                                          : watch_line(before.usage, now.usage);
    if (const int code = print(line, 0); code != 0) return code;
    before = std::move(now);
  }
  return 0;
}

int answer(const Context& context, const HostFs& fs, const Question& question, const Group& group) {
  Meter meter(fs, group, question.processes);
  if (question.interval) return watch(context, question, group, meter);
  const cgroup::Limits limits =
      cgroup::read_limits(fs, group, slot_env(context, fs, question, group));
  const OneSample sample = meter.sample();
  const int code = limits.problems.empty() && !sample.error ? 0 : 4;
  if (context.json)
    return print(to_text(cgroup::to_json(group, limits, sample, meter.source())), code);
  if (!context.quiet) {
    for (const Error& each : limits.problems) complain(each.message());
    if (sample.error) complain(sample.error->message());
  }
  return print(cgroup_text(group, limits, sample, meter.source(), context.verbose), code);
}

}  // namespace

int run_cgroup(const Context& context) {
  const Result<Question> question = question_of(context.invocation);
  if (!question) return complain(question.error(), 2);
  const Result<HostFs> fs = context.open_root();
  if (!fs) return complain(fs.error(), 2);
  const Result<Group> group = find_group(*fs, *question);
  if (group) return answer(context, *fs, *question, *group);
  if (group.error().code == ErrorCode::usage) return complain(group.error(), 2);
  const int code = is_absence(group.error()) ? 1 : 3;
  complain(group.error().message());
  return context.json ? print(to_text(cgroup::absent_json(group.error())), code) : code;
}

}  // namespace gpuctl::app
