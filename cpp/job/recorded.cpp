#include "recorded.hpp"

#include <algorithm>

#include "gpuctl/base/tree.hpp"
#include "gpuctl/cgroup/delegation.hpp"
#include "gpuctl/proc/environment.hpp"
#include "gpuctl/proc/walk.hpp"

namespace gpuctl::job {
namespace {

constexpr unsigned kEmptyLooks = 2;
constexpr Usec kLook = 10'000;

// The group of the record, by path and inode: another one may have its name now.
std::unique_ptr<kill::CgroupTarget> group_of(const HostFs& fs, const JobRecord& job,
                                             const PayloadRecord& payload) {
  if (!job.cgroup_place || payload.cgroup_inode == 0) return nullptr;
  Result<cgroup::Place> group = cgroup::open_place(fs, *job.cgroup_place + "/" + job.cgroup_name);
  if (!group) return nullptr;
  const Result<FileId> id = file_id(group->dir.get(), group->directory);
  if (!id || id->inode != payload.cgroup_inode) return nullptr;
  return std::make_unique<kill::CgroupTarget>(fs, std::move(group->dir), group->directory);
}

}  // namespace

Recorded::Recorded(const HostFs& fs, const JobRecord& job, std::optional<PayloadRecord> payload)
    : fs_(fs), job_(job), payload_(std::move(payload)) {
  if (payload_) group_ = group_of(fs_, job_, *payload_);
}

std::string Recorded::method() const {
  return ended_at_once_ ? "records, " + group_->method() : "records";
}

bool Recorded::end_at_once(kill::Signaller& signaller) {
  if (!group_ || group_->objection(signaller)) return false;
  ended_at_once_ = group_->end_at_once(signaller);
  return ended_at_once_;
}

void Recorded::let_go() {
  if (group_) group_->let_go();
}

std::vector<proc::Stat> Recorded::members(Why why) {
  std::vector<proc::Stat> all;
  below_init_.clear();
  if (payload_ && proc::judge(fs_, payload_->init) == proc::Liveness::alive) {
    if (const Result<proc::Stat> init = proc::read_stat(fs_, payload_->init.pid))
      all.push_back(*init);
    for (proc::Stat& each : proc::descendants(fs_, payload_->init.pid))
      all.push_back(std::move(each));
  }
  for (const proc::Stat& each : all) below_init_.insert(each.pid);
  if (group_) {
    for (proc::Stat& each : group_->members(why)) {
      if (below_init_.insert(each.pid).second) all.push_back(std::move(each));
    }
  }
  for (proc::Stat& each :
       proc::marked(fs_, mark_of(job_.nonce), proc::shown_ticks(job_.supervisor))) {
    if (below_init_.count(each.pid) == 0) all.push_back(std::move(each));
  }
  const auto is_dead = [](const proc::Stat& each) { return each.is_dead(); };
  all.erase(std::remove_if(all.begin(), all.end(), is_dead), all.end());
  return all;
}

bool Recorded::belongs(const proc::Stat& now) {
  const bool is_init = payload_ && now.pid == payload_->init.pid &&
                       proc::machine_ticks(now.start_ticks) == payload_->init.start_ticks;
  return is_init || below_init_.count(now.ppid) != 0 || (group_ && group_->belongs(now)) ||
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
  if (init_is_dead) return "pid_namespace";
  return group_ && group_->proof() ? "cgroup" : "identities";
}

void Recorded::wait(Usec most) { Target::wait(std::min(most, kLook)); }

}  // namespace gpuctl::job
