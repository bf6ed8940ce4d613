// Whether a container runtime can start anything here, tried with a root of one file: our own static binary.
#pragma once

#include <string>
#include <vector>

#include "gpuctl/fence/probe.hpp"

namespace gpuctl::fence::internal {

// bubblewrap, podman, apptainer, in this order. One that is not installed has no errno and says so.
std::vector<Capability> try_runtimes(const ProbeOptions& options);

}  // namespace gpuctl::fence::internal
