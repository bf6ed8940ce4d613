#include "gpuctl/kill/target.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/kill/cgroup_target.hpp"
#include "gpuctl/proc/walk.hpp"

namespace gpuctl::kill {
namespace {

constexpr std::size_t kMostWatched = 64;  // enough to wake up early; all of them are looked at then
constexpr unsigned kEmptyLooks = 2;
constexpr Usec kLookWithoutPidfds = 5'000;
constexpr Usec kNumberIsGood = 500'000;

void drop_the_dead(std::vector<proc::Stat>& members) {
  const auto is_dead = [](const proc::Stat& each) { return each.is_dead(); };
  members.erase(std::remove_if(members.begin(), members.end(), is_dead), members.end());
}

// Those whose parent is `reaper` are about to be reaped.
std::size_t count_unreaped(const std::vector<proc::Stat>& all, pid_t reaper) {
  return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& each) {
    return each.is_dead() && each.ppid != reaper;
  }));
}

int as_milliseconds(Usec time) { return static_cast<int>((time + 999) / 1000); }

}  // namespace

void Target::wait(Usec most) { ::poll(nullptr, 0, as_milliseconds(most)); }

// ---- Below ----

Below::Below(const HostFs& fs, pid_t init, std::unique_ptr<CgroupTarget> group)
    : fs_(fs), init_(init), group_(std::move(group)) {}

Below::~Below() = default;

std::string Below::method() const {
  if (ended_at_once_) return group_->method();
  return init_ != 0 ? "pid_namespace" : "walk";
}

// A payload without a namespace could have put its pilot into its own group: then everybody gets a signal of his own.
bool Below::end_at_once(Signaller& signaller) {
  if (!group_ || group_->objection(signaller)) return false;
  ended_at_once_ = group_->end_at_once(signaller);
  return ended_at_once_;
}

void Below::let_go() {
  if (group_) group_->let_go();
}

std::vector<proc::Stat> Below::members(Why why) {
  std::vector<proc::Stat> all = proc::descendants(fs_, ::getpid());
  seen_.clear();
  for (const proc::Stat& each : all) seen_.insert(each.pid);
  note_unreaped(count_unreaped(all, ::getpid()));
  drop_the_dead(all);
  if (why == Why::ask && init_ != 0) {
    const auto is_init = [&](const proc::Stat& each) { return each.pid == init_; };
    all.erase(std::remove_if(all.begin(), all.end(), is_init), all.end());
  }
  return all;
}

// Whoever got the number of a descendant is nobody's child among us.
bool Below::belongs(const proc::Stat& now) {
  return now.ppid == ::getpid() || seen_.count(now.ppid) != 0;
}

bool Below::is_below(const proc::Stat& now) const {
  for (pid_t parent = now.ppid; parent > 1;) {
    if (parent == ::getpid()) return true;
    const Result<proc::Stat> stat = proc::read_stat(fs_, parent);
    if (!stat || stat->start_ticks > now.start_ticks) return false;
    parent = stat->ppid;
  }
  return false;
}

std::optional<std::string> Below::proof() {
  if (!empty_) return std::nullopt;
  return init_ != 0 ? "pid_namespace" : "subreaper";
}

// ---- PidTree ----

PidTree::PidTree(const HostFs& fs, proc::Handle root, const proc::Stat& stat)
    : fs_(fs), since_ticks_(stat.start_ticks) {
  if (stat.session == stat.pid) led_[stat.pid] = monotonic_usec();
  known_.emplace(stat.pid, Known{std::move(root), stat});
}

// The number still means the process that was admitted: it is held, and not reaped.
bool PidTree::is_known(pid_t pid) const {
  const auto found = known_.find(pid);
  return found != known_.end() && found->second.handle.exists();
}

// What is known of each is read again.
void PidTree::forget_the_dead() {
  const Usec time = monotonic_usec();
  for (auto each = known_.begin(); each != known_.end();) {
    Result<proc::Stat> now = each->second.handle.read_stat(fs_);
    if (!now || now->is_dead()) {
      each = known_.erase(each);
      continue;
    }
    each->second.stat = std::move(*now);
    const auto session = led_.find(each->second.stat.session);
    if (session != led_.end()) session->second = time;
    ++each;
  }
}

// Takes a process in whose parent, or whose session's leader, is a member. The bond is checked under its handle, and
// the other end of the bond after that.
bool PidTree::admit(const proc::Stat& found, pid_t session_of) {
  if (known_.count(found.pid) != 0 || found.pid == ::getpid()) return false;
  Result<proc::Handle> handle = proc::Handle::open(fs_, found.pid);
  if (!handle) return false;
  Result<proc::Stat> now = handle->read_stat(fs_);
  if (!now || now->start_ticks < since_ticks_ || now->is_dead()) return false;
  const bool bound =
      session_of != 0 ? now->session == session_of && is_led(session_of) : is_known(now->ppid);
  if (!bound) return false;
  if (now->session == now->pid || session_of != 0) led_[now->session] = monotonic_usec();
  const pid_t pid = found.pid;
  known_.emplace(pid, Known{std::move(*handle), std::move(*now)});
  return true;
}

void PidTree::find_children() {
  std::vector<pid_t> tops;
  for (const auto& [pid, known] : known_) {
    if (known_.count(known.stat.ppid) == 0) tops.push_back(pid);
  }
  std::size_t unreaped = 0;
  for (const pid_t top : tops) {
    const std::vector<proc::Stat> below = proc::descendants(fs_, top);
    unreaped += count_unreaped(below, ::getpid());
    for (const proc::Stat& each : below) admit(each, 0);
  }
  note_unreaped(unreaped);
}

// The number of a session stays taken while anybody is in it, and a pid space needs seconds to come round: what was a
// member's session a moment ago is nobody else's now.
bool PidTree::is_led(pid_t session) const {
  const auto found = led_.find(session);
  return found != led_.end() && monotonic_usec() - found->second < kNumberIsGood;
}

void PidTree::find_sessions() {
  if (led_.empty()) return;
  for (const pid_t pid : proc::all_pids(fs_).value_or(std::vector<pid_t>())) {
    if (known_.count(pid) != 0) continue;
    const Result<proc::Stat> stat = proc::read_stat(fs_, pid);
    if (stat && is_led(stat->session)) admit(*stat, stat->session);
  }
}

std::vector<proc::Stat> PidTree::members(Why) {
  forget_the_dead();
  find_children();
  find_sessions();
  std::vector<proc::Stat> all;
  for (const auto& [pid, known] : known_) all.push_back(known.stat);
  std::sort(all.begin(), all.end(), [](const proc::Stat& left, const proc::Stat& right) {
    return std::pair(left.start_ticks, left.pid) < std::pair(right.start_ticks, right.pid);
  });
  return all;
}

bool PidTree::belongs(const proc::Stat& now) { return is_known(now.pid); }

std::optional<std::string> PidTree::proof() {
  if (!members(Why::ask).empty()) {
    empty_looks_ = 0;
    return std::nullopt;
  }
  return ++empty_looks_ < kEmptyLooks ? std::nullopt : std::optional<std::string>("identities");
}

void PidTree::wait(Usec most) {
  std::vector<pollfd> watched;
  for (const auto& [pid, known] : known_) {
    if (known.handle.kind() == proc::Handle::Kind::pidfd && watched.size() < kMostWatched)
      watched.push_back({known.handle.fd(), POLLIN, 0});
  }
  // without pidfds nobody wakes us
  ::poll(watched.data(), watched.size(),
         as_milliseconds(watched.empty() ? std::min(most, kLookWithoutPidfds) : most));
}

}  // namespace gpuctl::kill
