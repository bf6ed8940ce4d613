// Target: what is to be ended. It says who belongs to it, and what proves that nobody is left.
//
// A list of members is a snapshot and proves nothing; the proof is the kernel's own word: a cgroup without
// population, a namespace whose init is gone, a subreaper without children. Where there is no such word, it is that
// every process that was ever seen is gone, and the report says so ("identities").
//
// Below     all descendants of this process, a subreaper: the supervisor's job
// PidTree   a process and what descends from it, of somebody else's
// CgroupSet a cgroup with its sub-cgroups                                   (cgroup_target.hpp)
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/kill/signaller.hpp"
#include "gpuctl/proc/identity.hpp"
#include "gpuctl/proc/stat.hpp"

namespace gpuctl::kill {

class Target {
 public:
  enum class Why { ask, force };

  virtual ~Target() = default;

  // "pid_namespace", "walk", "cgroup.kill", ...: how it is ended by force.
  virtual std::string method() const = 0;

  // Who lives now, parents first.
  virtual std::vector<proc::Stat> members(Why why) = 0;

  // Does this process, read a moment ago under a handle, belong to the members of the last list?
  virtual bool belongs(const proc::Stat& now) = 0;

  // Ends all of it in one step that no fork escapes; false where the kernel has no such step.
  virtual bool end_at_once(Signaller&) { return false; }

  // Makes good whatever was done to keep the members from running away.
  virtual void let_go() {}

  // The name of the proof, once nobody is left.
  virtual std::optional<std::string> proof() = 0;

  // Sleeps until there may be news of an end, `most` at the longest.
  virtual void wait(Usec most);

  // The most members seen at once that had ended and that their parents, members too, had not reaped: no work for a
  // kill, and each holds its place under RLIMIT_NPROC and pids.max.
  std::size_t unreaped() const { return unreaped_; }

 protected:
  void note_unreaped(std::size_t now) { unreaped_ = std::max(unreaped_, now); }

 private:
  std::size_t unreaped_ = 0;
};

class CgroupTarget;

// Everything below this process. `init`: the pid of the job's namespace init, which ends by force only and takes all
// others along; 0 without a namespace. `group`: the job's own cgroup, ended in one step with all that is in it.
class Below : public Target {
 public:
  Below(const HostFs& fs, pid_t init, std::unique_ptr<CgroupTarget> group = nullptr);
  ~Below() override;

  std::string method() const override;
  std::vector<proc::Stat> members(Why why) override;
  bool belongs(const proc::Stat& now) override;

  // The same without a list before: climbs to us by the parents.
  bool is_below(const proc::Stat& now) const;

  bool end_at_once(Signaller& signaller) override;
  void let_go() override;

  // Only whoever reaps knows: the supervisor says it when there was nobody left to wait for.
  void all_reaped() { empty_ = true; }
  std::optional<std::string> proof() override;

 private:
  const HostFs& fs_;
  pid_t init_;
  std::unique_ptr<CgroupTarget> group_;
  bool ended_at_once_ = false;
  std::set<pid_t> seen_;
  bool empty_ = false;
};

// The process `root` and its descendants; also those that were orphaned since they were seen first, and all of the
// sessions that members lead. Whoever left before, by a double fork, is not found.
class PidTree : public Target {
 public:
  // `root` is held from here on, so that nobody who gets its number is meant.
  PidTree(const HostFs& fs, proc::Handle root, const proc::Stat& stat);

  std::string method() const override { return "walk"; }
  std::vector<proc::Stat> members(Why why) override;
  bool belongs(const proc::Stat& now) override;
  std::optional<std::string> proof() override;
  void wait(Usec most) override;

 private:
  struct Known {
    proc::Handle handle;
    proc::Stat stat;
  };

  bool is_known(pid_t pid) const;
  void forget_the_dead();
  void find_children();
  void find_sessions();
  bool admit(const proc::Stat& found, pid_t session_of);
  bool is_led(pid_t session) const;

  const HostFs& fs_;
  std::uint64_t since_ticks_;
  std::map<pid_t, Known> known_;
  std::map<pid_t, Usec>
      led_;  // sessions that members lead, or led: when a member was last seen in it
  unsigned empty_looks_ = 0;
};

}  // namespace gpuctl::kill
