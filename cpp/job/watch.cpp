#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "gpuctl/base/json.hpp"
#include "gpuctl/cgroup/json.hpp"
#include "gpuctl/proc/walk.hpp"
#include "group.hpp"
#include "memory.hpp"
#include "run.hpp"
#include "slot_guard.hpp"

namespace gpuctl::job {
namespace {

constexpr Usec kSampleEvery = 10 * kUsecPerSec;
constexpr Usec kGuardEvery = kUsecPerSec;
constexpr Usec kSlotEvery = 5 * kUsecPerSec;
// Where nobody follows the trace a start is noticed this late at most: a short payload does not pay for waking us in
// between.
constexpr Usec kExecLook = kUsecPerSec / 50;
// Whoever killed the tether would have killed us: the slot is gone, and what it gave is somebody else's soon.
constexpr Usec kSlotGoneGrace = 5 * kUsecPerSec;
constexpr Usec kLeftoverGrace =
    5 * kUsecPerSec;  // for what the payload leaves running when it ends

class Watch {
 public:
  Watch(Run& run, Fd signals) : run_(run), signals_(std::move(signals)) {
    if (run.group && (run.group->memory_limit_bytes || run.group->memory_guard_bytes) &&
        run.spec.preempt)
      slot_guard_.emplace(run.fs, *run.place, *run.group, *run.spec.preempt, run.spec.margins);
    next_sample_ = monotonic_usec() + sample_interval();
  }

  void loop() {
    while (!run_.all_reaped && run_.ending.stage() != Ending::Stage::given_up) {
      const Usec now = monotonic_usec();
      check_ttl(now);
      act(now);
      wait_for_news(now);
      read_exec_error();
      read_channel();
      read_signals();
      read_tether();
      read_control();
      read_lease();
      reap();
    }
  }

 private:
  bool has_init() const { return run_.child->fence == fence::ProcessFence::pid_namespace; }

  // ---- what happened ----

  void wait_for_news(Usec now) {
    waiting_ = {{signals_.get(), POLLIN, 0}};
    if (!payload_ended_ && has_init()) waiting_.push_back({run_.child->channel.get(), POLLIN, 0});
    if (!exec_known_ && now >= exec_look_at_)
      waiting_.push_back({run_.child->exec_error.get(), POLLIN, 0});
    if (lease_fd_ >= 0) waiting_.push_back({lease_fd_, POLLIN, 0});
    if (run_.tether && run_.tether->fd() >= 0) waiting_.push_back({run_.tether->fd(), POLLIN, 0});
    for (const int fd : control_descriptors()) waiting_.push_back({fd, POLLIN, 0});
    ::poll(waiting_.data(), waiting_.size(), timeout_ms(now));
  }

  std::vector<int> control_descriptors() const {
    return run_.control ? run_.control->descriptors() : std::vector<int>();
  }

  bool has_news(int fd) const {
    return std::any_of(waiting_.begin(), waiting_.end(),
                       [&](const pollfd& each) { return each.fd == fd && each.revents != 0; });
  }

  int timeout_ms(Usec now) const {
    Usec next = next_sample_;
    if (!exec_known_ && now < exec_look_at_) next = std::min(next, exec_look_at_);
    if (run_.ttl_deadline && !run_.ending.has_begun()) next = std::min(next, *run_.ttl_deadline);
    if (const std::optional<Usec> look = run_.ending.next_look(now)) next = std::min(next, *look);
    return static_cast<int>(std::clamp<Usec>((next - now + 999) / 1000, 0, 60'000));
  }

  void read_exec_error() {
    pollfd ready{run_.child->exec_error.get(), POLLIN, 0};
    if (exec_known_ || ::poll(&ready, 1, 0) <= 0) return;
    exec_known_ = true;
    run_.exec_errno = fence::exec_errno(*run_.child);
    if (run_.exec_errno) return;
    run_.report.state = State::done;
    run_.trace.mark("started");
    run_.trace.line(LogLevel::trace, "payload started, pid " + std::to_string(run_.child->payload) +
                                         " (" + fence::name_of(run_.child->fence) + ")");
    run_.trace.event("start",
                     {{"pid", run_.child->payload}, {"fence", fence::name_of(run_.child->fence)}});
  }

  void read_channel() {
    if (payload_ended_ || !has_init()) return;
    if (const std::optional<int> status = fence::payload_status(*run_.child))
      payload_ended(*status);
  }

  void payload_ended(int status) {
    payload_ended_ = true;
    run_.report.wait_status = status;
    run_.trace.mark("payload ended");
    const Usec grace = std::min(run_.spec.forced_kill_timeout, kLeftoverGrace);
    if (!run_.ending.has_begun()) run_.ending.begin(nullptr, "", SIGTERM, grace, monotonic_usec());
  }

  void read_signals() {
    if (!has_news(signals_.get())) return;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      const int number = static_cast<int>(info.ssi_signo);
      if (number == SIGCHLD || number == SIGPIPE) continue;
      const pid_t sender = static_cast<pid_t>(info.ssi_pid);
      take_signal(number, sender > 0 ? "pid " + std::to_string(sender) : "the terminal");
    }
  }

  // What comes to the tether comes to the slot, and we are meant.
  void read_tether() {
    if (!run_.tether || !has_news(run_.tether->fd())) return;
    const Tether::News news = run_.tether->read();
    for (const int number : news.signals) take_signal(number, "the slot that we left");
    if (!news.is_gone) return;
    const Usec grace =
        std::min({run_.spec.forced_kill_timeout, run_.spec.outer_grace, kSlotGoneGrace});
    begin_ending(
        "KILLED",
        "the slot has ended: the tether that stood in it for us is gone (scancel, condor_rm, "
        "or the end of its time)",
        SIGTERM, grace);
  }

  void take_signal(int number, const std::string& sender) {
    if (number == SIGUSR1 || number == SIGUSR2) {
      pass_on(number);
    } else {
      end_from_outside(number, sender);
    }
  }

  // A batch system's warning belongs to the payload itself, not to all of its processes.
  void pass_on(int number) {
    if (const Result<proc::Stat> payload = proc::read_stat(run_.fs, run_.child->payload)) {
      run_.signaller->send(*payload, number,
                           [&](const proc::Stat& now) { return run_.target->is_below(now); });
    }
  }

  void end_from_outside(int number, const std::string& sender) {
    if (number == SIGINT && run_.ending.has_begun()) return run_.ending.hurry(monotonic_usec());
    const std::string name = number == SIGINT ? "SIGINT" : "SIG" + std::string(sigabbrev(number));
    const Usec grace = std::min(run_.spec.forced_kill_timeout, run_.spec.outer_grace);
    begin_ending("KILLED", name + " from " + sender, number == SIGINT ? SIGINT : SIGTERM, grace);
  }

  // A drain of one of its GPUs may end the job.
  void read_lease() {
    if (lease_fd_ < 0 || !has_news(lease_fd_)) return;
    const std::optional<std::string> evicted = run_.lease->evicted();
    if (evicted) begin_ending("KILLED", *evicted, SIGTERM, run_.spec.forced_kill_timeout);
  }

  static const char* sigabbrev(int number) {
    return number == SIGHUP ? "HUP" : number == SIGQUIT ? "QUIT" : "TERM";
  }

  void read_control() {
    const std::vector<int> sources = control_descriptors();
    if (std::none_of(sources.begin(), sources.end(), [&](int fd) { return has_news(fd); })) return;
    for (const ControlRequest& request : run_.control->receive()) {
      if (request.kind == ControlRequest::Kind::status) {
        run_.control->answer(request.client, status_json());
        continue;
      }
      run_.waiting_clients.push_back(request.client);
      run_.engine->spare(request.spared);
      const Usec grace =
          std::min(request.grace.value_or(run_.spec.forced_kill_timeout), kill::kMaxGrace);
      begin_ending("KILLED",
                   "asked for by " + (request.by.empty() ? "the job's owner" : request.by), SIGTERM,
                   grace);
    }
  }

  Json status_json() {
    const char* stages[] = {"running", "asked_to_end", "being_killed", "given_up"};
    return {{"id", run_.report.id},
            {"resubmission", run_.report.resubmission},
            {"stage", stages[static_cast<int>(run_.ending.stage())]},
            {"pid", run_.child->payload},
            {"processes", members().size()},
            {"wall_usec", monotonic_usec() - run_.started_monotonic}};
  }

  void reap() {
    while (true) {
      int status = 0;
      rusage usage{};
      const pid_t pid = ::wait4(-1, &status, WNOHANG | __WALL, &usage);
      if (pid == 0 || (pid < 0 && errno == EINTR)) return;
      if (pid < 0) {  // ECHILD: we are a subreaper, so nothing of the payload is left
        run_.all_reaped = true;
        run_.target->all_reaped();
        read_exec_error();  // an exec that failed since we looked has left its word
        return;
      }
      account(usage);
      if (pid != run_.child->pid) continue;
      if (!has_init()) {
        payload_ended(status);
      } else {
        read_channel();
        // Without a word of init its exit code is the payload's. One that was ended itself (KILL, or out of memory)
        // took all of the payload along.
        if (!payload_ended_) payload_ended(WIFEXITED(status) ? status : SIGKILL);
      }
    }
  }

  void account(const rusage& usage) {
    Usage& total = run_.report.usage;
    const auto usec = [](const timeval& time) {
      return static_cast<Usec>(time.tv_sec) * kUsecPerSec + time.tv_usec;
    };
    total.cpu_user_usec = total.cpu_user_usec.value_or(0) + usec(usage.ru_utime);
    total.cpu_system_usec = total.cpu_system_usec.value_or(0) + usec(usage.ru_stime);
    note_peak(static_cast<std::uint64_t>(usage.ru_maxrss) * 1024, "largest_process");
  }

  void note_peak(std::uint64_t bytes, const char* source) {
    Usage& usage = run_.report.usage;
    if (usage.memory_peak_bytes && *usage.memory_peak_bytes >= bytes) return;
    usage.memory_peak_bytes = bytes;
    usage.memory_source = source;
  }

  // ---- what to do about it ----

  void check_ttl(Usec now) {
    if (!run_.ttl_deadline || now < *run_.ttl_deadline || run_.ending.has_begun()) return;
    begin_ending("TTL", "its time to live of " + format_duration(*run_.spec.ttl) + " is over",
                 SIGTERM, run_.spec.forced_kill_timeout);
  }

  void begin_ending(const char* reason, const std::string& detail, int signal, Usec grace) {
    const bool first = run_.ending.reason() == nullptr;
    const Usec now = monotonic_usec();
    run_.ending.begin(&kill_reason(reason), detail, signal, grace, now);
    if (!first) return;
    run_.trace.mark("asked to end");
    run_.trace.line(LogLevel::trace, std::string("ending the payload: ") + reason + ", " + detail +
                                         "; KILL in " +
                                         format_duration(run_.ending.deadline() - now));
    run_.trace.event("verdict", {{"kill_reason", reason}, {"detail", detail}});
    record_kill("accepted");
  }

  // So that whoever finishes this job in our place neither asks twice nor begins to wait anew.
  void record_kill(const char* stage) {
    const Ending& ending = run_.ending;
    if (ending.reason() == nullptr) return;
    KillRecord record{ending.reason()->name, ending.detail(), ending.deadline(), stage, {}};
    if (asked_ticks_ != 0) record.asked_ticks = asked_ticks_;
    if (Result<void> written = write(run_.directory->dir.get(), record); !written) {
      run_.report.problems.push_back(written.error().message());
    }
  }

  void act(Usec now) {
    if (now >= next_sample_) sample(now);
    const Ending::Stage before = run_.ending.stage();
    run_.ending.advance(now);
    const std::optional<Usec> look = run_.ending.next_look(now);
    if (!look || now < *look) return;
    if (run_.ending.stage() == Ending::Stage::asked) {
      ask(now);
    } else {
      force(before);
    }
    run_.ending.count_round(now);
  }

  void ask(Usec now) {
    const int signal = run_.ending.signal_due(now);
    run_.engine->ask(signal);
    if (signal != SIGTERM) return;
    asked_ticks_ = ticks_since_boot();
    record_kill("asked");
  }

  void force(Ending::Stage before) {
    if (before == Ending::Stage::asked) {
      say_forced();
      record_kill("forced");
    }
    if (!run_.engine->force()) run_.ending.give_up();
  }

  void say_forced() {
    run_.trace.mark("KILL");
    run_.trace.line(LogLevel::warning,
                    "still " + std::to_string(members().size()) + " processes: KILL");
  }

  // The payload's processes, parents first, without the namespace's init.
  std::vector<proc::Stat> members() const { return run_.target->members(kill::Target::Why::ask); }

  // A limit that no cgroup holds for us.
  std::optional<std::uint64_t> guarded_bytes() const {
    if (run_.group && run_.group->memory_limit_bytes) return std::nullopt;
    if (run_.group && run_.group->memory_guard_bytes) return run_.group->memory_guard_bytes;
    return run_.spec.limits.memory_bytes;
  }

  Usec sample_interval() const {
    return guarded_bytes() ? kGuardEvery : slot_guard_ ? kSlotEvery : kSampleEvery;
  }

  void sample(Usec now) {
    next_sample_ = now + sample_interval();
    if (payload_ended_) return;
    const std::vector<proc::Stat> all = members();
    const std::uint64_t rss_bytes = resident_bytes(all);
    note_peak(rss_bytes, "process_tree");
    Json event = {{"processes", all.size()}, {"rss_bytes", rss_bytes}};
    const auto usage = run_.trace.is_followed() ? sample_group(run_) : std::nullopt;
    event["usage"] = usage ? cgroup::usage_json(*usage, "cgroup") : Json(nullptr);
    run_.trace.event("sample", event);
    const std::optional<std::uint64_t> limit = guarded_bytes();
    if (limit && rss_bytes > *limit) guard_memory(all, *limit);
    if (slot_guard_ && !run_.ending.has_begun()) guard_slot();
  }

  void guard_slot() {
    if (const std::optional<std::string> evidence = slot_guard_->sentence())
      begin_ending("OOM_PREEMPTED", *evidence, SIGTERM, run_.spec.forced_kill_timeout);
  }

  void guard_memory(const std::vector<proc::Stat>& all, std::uint64_t limit) {
    const std::uint64_t used = proportional_bytes(run_.fs, all);
    if (used <= limit || run_.ending.has_begun()) return;
    begin_ending("MEMORY_USAGE",
                 "its processes use " + std::to_string(used) + " bytes (PSS), more than the " +
                     std::to_string(limit) + " that it may use",
                 SIGTERM, run_.spec.forced_kill_timeout);
  }

  Run& run_;
  Fd signals_;
  std::vector<pollfd> waiting_{};  // of the last wait, with what is ready
  std::optional<SlotGuard> slot_guard_;
  Usec next_sample_ = 0;
  Usec exec_look_at_ = monotonic_usec() + (run_.trace.is_followed() ? 0 : kExecLook);
  int lease_fd_ = run_.lease ? run_.lease->fd() : -1;
  std::uint64_t asked_ticks_ = 0;  // when TERM went out last; 0: not yet
  bool exec_known_ = false;
  bool payload_ended_ = false;
};

}  // namespace

void watch(Run& run) {
  Fd signals(::signalfd(-1, &run.handled_signals, SFD_CLOEXEC | SFD_NONBLOCK));
  Watch(run, std::move(signals)).loop();
}

}  // namespace gpuctl::job
