// BPF_PROG_TYPE_CGROUP_DEVICE: device nodes refused by number, for a cgroup and all below it, on whatever path and also
// for mknod(2). Needs CAP_SYS_ADMIN or CAP_BPF. The program goes with the cgroup. Source: <linux/bpf.h>, bpf(2).
#pragma once

#include <string>
#include <vector>

#include "gpuctl/fence/device_fence.hpp"

namespace gpuctl::fence::internal {

// Loads a filter that refuses the numbers of `plan.refused` and attaches it beside those that are there
// (BPF_F_ALLOW_MULTI: whatever else is attached, a refusal stays one). ErrorCode::unsupported where one of them has a number
// that the job needs.
Result<void> attach_device_filter(int cgroup_fd, const DevicePlan& plan);

// Whether such a filter can be loaded; nothing is attached.
Result<void> can_load_device_filter();

// By the payload itself, before its proof: whatever comes of it, the proof shows whether the filter is still there. (Some
// kernels let anybody take off a filter that was attached without ALLOW_MULTI.)
void try_to_detach_device_filter(int cgroup_fd);

}  // namespace gpuctl::fence::internal
