// Who has device nodes of GPUs open on this machine, whoever started them: one pass over /proc.
//
// Of other users' processes an unprivileged caller may not read the descriptors: how many these are is part of the
// answer. Processes outside the caller's pid namespace are not seen at all.
//
//   const NodeHolders found = holders_of_gpu_nodes(fs);
//   for (const NodeHolder& each : found.holders) …
//
// Sources: proc_pid_fd(5), proc_pid_comm(5). Its matching is that of OpenNodes, which `gpuctl tree` uses.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::proc {

struct NodeHolder {
  pid_t pid = 0;
  uid_t uid = 0;                   // effective
  std::string name;                // as in /proc/PID/comm: any byte, at most 15 of a program's
  std::vector<std::string> nodes;  // sorted
};

struct NodeHolders {
  bool looked = false;              // false: /dev has no node of a GPU, so nobody holds one
  std::vector<NodeHolder> holders;  // by pid
  std::size_t processes_read = 0;
  std::size_t processes_unreadable = 0;
};

// `processes`: whose /proc is read; `hardware`: whose /dev has the nodes. They differ where a directory stands in for the
// hardware of the live machine.
NodeHolders holders_of_gpu_nodes(const HostFs& processes, const HostFs& hardware);
inline NodeHolders holders_of_gpu_nodes(const HostFs& fs) { return holders_of_gpu_nodes(fs, fs); }

}  // namespace gpuctl::proc
