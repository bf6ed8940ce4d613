// /proc/driver/nvidia/gpus/<address>/information: what the loaded NVIDIA driver says without any
// tool.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/pci_address.hpp"
#include "gpuctl/gpu/problem.hpp"

namespace gpuctl::gpu {

struct NvidiaProcGpu {
  PciAddress address;
  std::optional<std::string> model;  // "NVIDIA A100-SXM4-40GB"; the driver's "Unknown" is empty
  std::optional<std::string>
      uuid;  // the driver's "GPU-????????-…" of a GPU that it could not start is empty
  std::optional<unsigned> minor;  // /dev/nvidia<minor>
  bool excluded = false;          // by the module parameter NVreg_ExcludedGpus
};

// Sorted by address; empty when the driver is not loaded.
std::vector<NvidiaProcGpu> read_nvidia_proc(const HostFs& fs, ProblemSink& problems);

// The fields of one `information` file.
NvidiaProcGpu parse_nvidia_information(const PciAddress& address, std::string_view text);

}  // namespace gpuctl::gpu
