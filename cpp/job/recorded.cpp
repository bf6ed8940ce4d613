#include "recorded.hpp"

#include <algorithm>

#include "gpuctl/proc/environment.hpp"
#include "gpuctl/proc/walk.hpp"

namespace gpuctl::job {
namespace {

constexpr unsigned kEmptyLooks = 2;
constexpr Usec kLook = 10'000;

}  // namespace

std::vector<proc::Stat> Recorded::members(Why) {
  std::vector<proc::Stat> all;
  below_init_.clear();
  if (payload_ && proc::judge(fs_, payload_->init) == proc::Liveness::alive) {
    if (const Result<proc::Stat> init = proc::read_stat(fs_, payload_->init.pid))
      all.push_back(*init);
    for (proc::Stat& each : proc::descendants(fs_, payload_->init.pid))
      all.push_back(std::move(each));
  }
  for (const proc::Stat& each : all) below_init_.insert(each.pid);
  for (proc::Stat& each : proc::marked(fs_, mark_of(job_.nonce), job_.supervisor.start_ticks)) {
    if (below_init_.count(each.pid) == 0) all.push_back(std::move(each));
  }
  const auto is_dead = [](const proc::Stat& each) { return each.is_dead(); };
  all.erase(std::remove_if(all.begin(), all.end(), is_dead), all.end());
  return all;
}

bool Recorded::belongs(const proc::Stat& now) {
  const bool is_init =
      payload_ && now.pid == payload_->init.pid && now.start_ticks == payload_->init.start_ticks;
  return is_init || below_init_.count(now.ppid) != 0 ||
         proc::environment_has(fs_, now.pid, mark_of(job_.nonce));
}

std::optional<std::string> Recorded::proof() {
  if (!members(Why::ask).empty()) {
    empty_looks_ = 0;
    return std::nullopt;
  }
  if (++empty_looks_ < kEmptyLooks) return std::nullopt;
  const bool init_is_dead = payload_ && payload_->pid_namespace &&
                            proc::judge(fs_, payload_->init) == proc::Liveness::dead;
  return init_is_dead ? "pid_namespace" : "identities";
}

void Recorded::wait(Usec most) { Target::wait(std::min(most, kLook)); }

}  // namespace gpuctl::job
