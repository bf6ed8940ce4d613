// What keeps a payload off the GPUs that are not its own, and the proof that it does.
//
//   device       strongest first                                                    needs
//   private_dev  /dev is a file system of its own that holds the standard nodes, those that computing on
//                the job's GPUs needs, and no other                                 a mount namespace
//   landlock     opening any other GPU's node is refused (landlock(7))              5.13, no_new_privs
//   device_filter  refused by number for all of the job's cgroup (BPF_CGROUP_DEVICE)  privilege, a v2 group
//   slot         what the batch system has put around the slot refuses them         -
//   advisory     environment masks alone: the payload can undo them                 -
//
// A plan names nodes, never numbers: `given` are the device_nodes and shared_nodes of the job's GPUs, `refused` is all
// else in /dev that has the name of a GPU's node, known to the inventory or not. So a job without a GPU reaches none, and
// instances of one card (nvidia-caps, a partition's renderD) are told apart as cards are.
//
// Below a stand-in root (`--root DIR`) the nodes are those of DIR/dev. In a private /dev they are bound to the names that
// the inventory has (/dev/nvidia0), and DIR/dev becomes the same private /dev, since it would show all of them. The
// machine's own GPUs are refused with them.
//
//   Result<DevicePlan> plan = plan_devices(fs, assigned);
//   request.devices = &*plan;                          // fence/spawn.hpp
//   child->device, child->proof
//
// Plain values; nothing is shared between threads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/gpu.hpp"

namespace gpuctl::fence {

enum class DeviceFence { advisory, slot, device_filter, landlock, private_dev };  // weakest first

const char* name_of(DeviceFence fence);

struct DeviceNode {
  std::string name;       // below /dev: "nvidia0", "dri/renderD128"
  std::string host_path;  // where the machine has it: "/dev/nvidia0", or below the stand-in root
};

struct DevicePlan {
  std::string stand_in_dev;          // DIR/dev, links resolved; empty: the machine's own hardware
  std::vector<DeviceNode> given;     // by name
  std::vector<std::string> refused;  // host paths
  std::vector<std::string> interconnects;  // names in the machine's /dev, for jobs of several nodes
};

// ErrorCode::unavailable where /dev cannot be listed: then it cannot be told what to refuse.
Result<DevicePlan> plan_devices(const HostFs& fs, const std::vector<gpu::Gpu>& assigned);

// Nodes in `dev` that have the name of a GPU's, below it: "nvidia0", "nvidia-caps/nvidia-cap12", "dri/card0", "kfd".
// What is no character device is left out. ErrorCode of the listing.
Result<std::vector<std::string>> gpu_nodes_in(const std::string& dev);

// Whether the node `path` is of a GPU itself, or of a part of one; else it is one that all GPUs of its driver share
// (nvidiactl, kfd), which gives none by itself. Batch systems leave those open.
bool is_of_one_gpu(const std::string& path);

// Tried by opening, by the process that it is about: a node of its own opens, or its driver says why not (ENXIO); one of
// others gives EPERM, EACCES or ENOENT, for reading as for writing.
struct DeviceProof {
  bool holds = false;
  std::vector<std::string> opened;   // own
  std::vector<std::string> refused;  // others'
  std::string failure;               // "/dev/nvidia1 of another job opens"; empty when it holds
};

DeviceProof prove_devices(const std::vector<std::string>& own,
                          const std::vector<std::string>& others);

}  // namespace gpuctl::fence
