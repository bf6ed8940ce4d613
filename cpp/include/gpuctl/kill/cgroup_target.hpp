// CgroupTarget: a cgroup of the v2 hierarchy with all its sub-cgroups, held by descriptor: what is renamed or made
// anew under the same path is not it.
//
// Ended by `cgroup.kill` (Linux 5.14), which no fork escapes; where that is missing the group is frozen, every member
// gets KILL, and it is thawed again, always; where it cannot be frozen either, KILL in rounds. `cgroup.kill` misses a
// process whose first thread has ended while others live, so whoever is left after it gets KILL by hand. The proof is
// `populated 0` of cgroup.events, never a list: lists name pid 0 while members die and are incomplete while they fork.
//
//   Result<CgroupTarget> group = CgroupTarget::open(fs, "/user.slice/job-7");
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/kill/target.hpp"

namespace gpuctl::kill {

class CgroupTarget : public Target {
 public:
  // `path` as in /proc/PID/cgroup, or below the mount point. ErrorCode::not_found when it is not there; usage for what
  // is no cgroup of v2, or is its root; `fs` outlives the target.
  static Result<CgroupTarget> open(const HostFs& fs, const std::string& path);

  // The group whose directory is `dir`; `words` is its path.
  CgroupTarget(const HostFs& fs, Fd dir, std::string words)
      : fs_(fs), dir_(std::move(dir)), words_(std::move(words)) {}

  // Why it must not be ended from here, or nullopt: it holds ourselves, an ancestor, or somebody we cannot see.
  std::optional<std::string> objection(Signaller& signaller) const;

  std::string method() const override { return method_; }
  std::vector<proc::Stat> members(Why why) override;
  bool belongs(const proc::Stat& now) override;
  bool end_at_once(Signaller& signaller) override;
  void let_go() override;
  std::optional<std::string> proof() override;
  void wait(Usec most) override;

  // ErrorCode::malformed when the kernel's answer is no answer. A group that was removed is not populated.
  Result<bool> populated() const;

  // Of it and all groups below, each pid once; those of another pid namespace, which read as 0, are counted apart.
  struct Listing {
    std::vector<pid_t> pids;
    std::size_t unseen = 0;
  };
  std::size_t count_unreaped(const std::vector<proc::Stat>& members) const;
  Listing list() const;

 private:
  bool freeze();
  void stop_forks();

  const HostFs& fs_;
  Fd dir_;
  std::string words_;  // its path, for people
  std::string method_ = "walk";
  bool frozen_ = false;
  std::optional<std::string> pids_max_;  // what it was before forks were stopped
};

}  // namespace gpuctl::kill
