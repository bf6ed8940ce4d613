// Exposure: what a container needs of the host to see the GPUs of one lease and no others, apart from any runtime's
// spelling: device nodes, the masks as they are right inside, the lease file.
//
//   ExportInput input;
//   input.assigned = …;                        // the lease's units, as the inventory has them now
//   const Exposure exposure = exposure_of(input);
//   const Options options = apptainer_options(exposure);   // expose/options.hpp
//
// Card nodes (/dev/dri/cardN) are never among the nodes: the first to open one becomes DRM master. In a container only the
// assigned nodes exist, so the runtimes count anew there: masks by index are those of the container, not of the node.
// Plain values; a test needs no machine. The two functions at the end look at one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/fence/masks.hpp"
#include "gpuctl/gpu/gpu.hpp"

namespace gpuctl::expose {

// Where the lease file and the host's driver libraries are inside a container.
inline constexpr const char* kLeaseFileInside = "/run/gpuctl-lease.json";
inline constexpr const char* kLibrariesInside = "/opt/gpuctl/lib";

struct ExportInput {
  std::optional<std::string> lease_id;
  std::vector<gpu::Gpu> assigned;
  std::string root = "/";                 // stand-in nodes of a composed node lie below it
  std::optional<std::string> lease_file;  // on the host
  std::vector<std::string> libraries;     // the host's driver libraries: absolute paths of files
};

struct Mount {
  std::string source;  // on the host
  std::string target;  // inside
};

struct Exposure {
  std::optional<std::string> lease_id;
  std::vector<std::string> gpu_ids;
  std::vector<Mount> nodes;           // character devices, each once
  std::vector<Mount> files;           // read-only
  fence::Variables variables;         // inside; an empty value: not set there
  std::vector<std::string> problems;  // GPUs whose nodes are not known
  bool by_group =
      false;  // a node can be opened thanks to a supplementary group only (render, video)
  bool selinux = false;  // it would refuse the host's nodes and files to a container
};

Exposure exposure_of(const ExportInput& input);

// Whether this process opens one of the nodes thanks to a supplementary group: a user namespace has to keep that then.
bool reached_by_group(const std::vector<Mount>& nodes);

// Whether SELinux is on there, enforcing or not: selinuxfs is mounted then.
bool has_selinux(const HostFs& fs);

}  // namespace gpuctl::expose
