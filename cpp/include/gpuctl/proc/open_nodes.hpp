// Which device nodes of GPUs a process holds open.
//
// Nodes are known by the names that the drivers give them. A descriptor is of a node when it is that file, or a device
// of the same number: containers and private /dev directories have nodes of their own. Memory that was mapped from a
// node whose descriptor has been closed since is not seen.
//
//   const OpenNodes holders(fs, gpu_nodes(fs));
//   std::optional<std::vector<std::string>> held = holders.of(pid);
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/tree.hpp"

namespace gpuctl::proc {

struct DeviceNode {
  std::string path;  // as a payload knows it: /dev/dri/renderD128
  std::uint64_t number = 0;
  FileId file;
};

// All in this machine's /dev, by path: nvidia*, nvidia-caps/*, dri/*, kfd. Only character devices on the live
// machine; in a recording whatever bears the name.
std::vector<DeviceNode> gpu_nodes(const HostFs& fs);

class OpenNodes {
 public:
  // `fs`: whose /proc is read; it outlives the object.
  OpenNodes(const HostFs& fs, std::vector<DeviceNode> nodes) : fs_(fs), nodes_(std::move(nodes)) {}

  // Paths, sorted, each once; none, and nothing is listed, on a node without such devices. nullopt where /proc/PID/fd may not be read or the process is gone.
  std::optional<std::vector<std::string>> of(pid_t pid) const;

 private:
  const DeviceNode* held(const Dir& descriptors, const std::string& name) const;

  const HostFs& fs_;
  std::vector<DeviceNode> nodes_;
};

}  // namespace gpuctl::proc
