// What the processes of spawn() do between their making and their exec. They run in the child: nothing here returns.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/fence/spawn.hpp"

namespace gpuctl::fence::internal {

// argv and environment as execve(2) wants them, made before there is a child. Points into the request.
struct ExecPlan {
  std::vector<char*> argv;
  std::vector<char*> environment;
};

ExecPlan plan_exec(const SpawnRequest& request);

// The ends of channel and exec_error that belong to the child.
struct ChildEnds {
  int channel = -1;
  int exec_error = -1;
  bool cgroups_are_read_only = false;
};

// One way to keep a payload in; see spawn.hpp.
struct Attempt {
  ProcessFence fence = ProcessFence::session;
  std::uint64_t flags = 0;  // CLONE_NEW*
  DeviceFence device = DeviceFence::advisory;
  const char* words = "";

  bool has_init() const { return fence == ProcessFence::pid_namespace; }
};

// Whom the first process of a user namespace is to be; nullopt without one.
struct Ids {
  uid_t uid = 0;
  gid_t gid = 0;
};

// fork(2) with the CLONE_NEW* `flags`. `cgroup_fd`: the directory of the cgroup in which the child is born; whether it was
// is told in `entered`, to the child too: false when the kernel cannot do that.
pid_t clone_process(std::uint64_t flags, int cgroup_fd = -1, bool* entered = nullptr);

// Moves the caller into the cgroup whose open cgroup.procs is `procs_fd`; ends the caller where that fails.
void enter_cgroup(int procs_fd, int channel);

[[noreturn]] void become_payload(const SpawnRequest& request, const ExecPlan& plan,
                                 const Attempt& attempt, const ChildEnds& ends);

// Pid 1 of a new pid and mount namespace: maps ids, makes the mounts, forks the payload, reaps until the namespace is empty.
[[noreturn]] void become_init(const SpawnRequest& request, const ExecPlan& plan,
                              const Attempt& attempt, const ChildEnds& ends,
                              const std::optional<Ids>& ids);

}  // namespace gpuctl::fence::internal
