// A /dev of the payload's own. Runs in the child, as the first process of a mount namespace: no Result, errno only.
#pragma once

#include <string>
#include <vector>

#include "gpuctl/fence/device_fence.hpp"

namespace gpuctl::fence::internal {

// Mounts over /dev, and over the stand-in's dev, a read-only tmpfs with the standard nodes, those of the machine's
// interconnects, pts, shm, and `plan.given`: each bound from where the machine has it, so rights, owners and what sits in
// /dev/shm stay. The step that failed, errno has the reason; nullptr: done.
const char* mount_private_dev(const DevicePlan& plan);

// Each directory becomes an empty one (a tmpfs: a gpuctl inside may keep its own state there), each other file
// /dev/null. What is not there needs no hiding. The same answer.
const char* hide(const std::vector<std::string>& paths);

// For root, whose writes there no capability is asked for: core_pattern and the like would run a program outside, and by
// /sys and /proc/bus every device can be reset, removed and mapped.
const char* make_kernel_settings_read_only();

}  // namespace gpuctl::fence::internal
