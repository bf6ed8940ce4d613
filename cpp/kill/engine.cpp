#include "gpuctl/kill/engine.hpp"

#include <algorithm>
#include <csignal>

#include "gpuctl/base/parse.hpp"
#include "gpuctl/proc/environment.hpp"

namespace gpuctl::kill {
namespace {

constexpr Usec kSweepAfter = 100'000;  // what the one step missed: a first thread that has ended
constexpr Usec kPatience = 10 * kUsecPerSec;  // a hanging file server may come back
constexpr Usec kRefusedPatience = kUsecPerSec / 2;
constexpr Usec kLongestSleep = kUsecPerSec / 2;

}  // namespace

Result<Spared> parse_spared(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos && equals > 0) return Spared{std::nullopt, text};
  const Result<std::uint64_t> pid = parse_unsigned(text, "pid", 10, 0x7fffffff);
  if (pid && *pid > 0) return Spared{static_cast<pid_t>(*pid), ""};
  return fail(
      ErrorCode::usage, "",
      "`" + printable(text) + "` is neither a pid nor an entry NAME=value of an environment");
}

Engine::Engine(const HostFs& fs, Signaller& signaller, Target& target, std::vector<Spared> spared)
    : fs_(fs), signaller_(signaller), target_(target), spared_(std::move(spared)) {}

void Engine::spare(std::vector<Spared> more) {
  for (Spared& each : more) spared_.push_back(std::move(each));
}

bool Engine::is_spared(const proc::Stat& member) const {
  return std::any_of(spared_.begin(), spared_.end(), [&](const Spared& each) {
    return each.pid ? *each.pid == member.pid : proc::environment_has(fs_, member.pid, each.entry);
  });
}

bool Engine::ask(int signal) {
  const std::vector<proc::Stat> members = target_.members(Target::Why::ask);
  const Belongs belongs = [&](const proc::Stat& now) { return target_.belongs(now); };
  for (const proc::Stat& member : members) {
    // A second TERM means "abort" to many frameworks: one per process.
    if (signaller_.has_got(member, signal) || is_spared(member)) continue;
    signaller_.ask(member, signal, belongs);
  }
  return !members.empty();
}

bool Engine::force() {
  const Usec now = monotonic_usec();
  if (!forced_at_) {
    forced_at_ = moved_at_ = now;
    ended_at_once_ = target_.end_at_once(signaller_);
    if (ended_at_once_) return true;
  }
  const bool too_early = ended_at_once_ && now < *forced_at_ + kSweepAfter;
  const std::vector<proc::Stat> members = target_.members(Target::Why::force);
  const Belongs belongs = [&](const proc::Stat& stat) { return target_.belongs(stat); };
  for (const proc::Stat& member : members) {
    if (too_early || signaller_.times(member, SIGKILL) >= kMostKills) continue;
    signaller_.force(member, belongs);
  }
  return moves(members, now);
}

// Somebody is new, somebody has gone, or there is still hope.
bool Engine::moves(const std::vector<proc::Stat>& members, Usec now) {
  Crowd crowd;
  for (const proc::Stat& each : members) crowd.emplace(each.pid, each.start_ticks);
  if (crowd != last_crowd_) {
    last_crowd_ = std::move(crowd);
    moved_at_ = now;
  }
  if (members.empty()) return true;
  const bool all_refused = std::all_of(members.begin(), members.end(), [&](const proc::Stat& each) {
    return signaller_.was_refused(each);
  });
  return now - moved_at_ < (all_refused ? kRefusedPatience : kPatience);
}

Report Engine::report(const Schedule& schedule) {
  Report report;
  const std::optional<std::string> proof = target_.proof();
  report.method = target_.method();
  report.proof = proof.value_or("");
  report.signalled = std::max(signaller_.count(SIGTERM), signaller_.count(SIGINT));
  report.killed = signaller_.count(SIGKILL);
  if (!proof) report.survivors = describe_survivors(fs_, target_.members(Target::Why::force));
  report.refused = signaller_.refused();
  report.unreaped = target_.unreaped();
  report.rounds = schedule.rounds();
  report.elapsed_usec = monotonic_usec() - schedule.began_at();
  return report;
}

namespace {

void step(Engine& engine, Schedule& schedule, Usec now) {
  schedule.advance(now);
  const std::optional<Usec> look = schedule.next_look(now);
  if (!look || now < *look) return;
  const bool hope = schedule.stage() == Schedule::Stage::asked
                        ? (engine.ask(schedule.signal_due(now)), true)
                        : engine.force();
  schedule.count_round(now);
  if (!hope) schedule.give_up();
}

}  // namespace

Report run_to_end(Engine& engine, Schedule& schedule) {
  while (schedule.stage() != Schedule::Stage::given_up) {
    const Usec now = monotonic_usec();
    step(engine, schedule, now);
    if (engine.target().proof()) break;
    const std::optional<Usec> look = schedule.next_look(now);
    if (look) engine.target().wait(std::clamp<Usec>(*look - monotonic_usec(), 0, kLongestSleep));
  }
  Report report = engine.report(schedule);
  engine.target().let_go();
  return report;
}

}  // namespace gpuctl::kill
