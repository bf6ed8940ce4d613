// MIG instances that the NVIDIA driver shows without any tool: /proc/driver/nvidia/capabilities/gpuN/mig/giG/ciC/access
// (MIG user guide, "Device Nodes and Capabilities"). Their UUIDs, profiles and sizes are not there: only NVML has them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/problem.hpp"

namespace gpuctl::gpu {

struct MigInstance {
  unsigned gpu_instance = 0;
  unsigned compute_instance = 0;
  std::vector<std::string> cap_nodes;  // /dev/nvidia-caps/nvidia-capN of both
};

// Sorted; empty where MIG is off, nothing was made yet, or the driver is older than R450. `minor` is that of
// /dev/nvidia<minor>.
std::vector<MigInstance> read_mig_instances(const HostFs& fs, unsigned minor,
                                            ProblemSink& problems);

// Whether the node, here or below a stand-in's root, is that of a capability. They are made for reading alone (0444):
// whoever can open one has the capability.
bool is_cap_node(std::string_view path);

// What access(2) has to allow of a device node for it to be of use: R_OK of a capability's, else R_OK | W_OK.
int rights_to_use(std::string_view path);

// "DeviceFileMinor: 12" of an `access` file; empty where it has none.
std::optional<unsigned> cap_minor(std::string_view text);

}  // namespace gpuctl::gpu
