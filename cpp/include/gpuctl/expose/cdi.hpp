// Specifications of the Container Device Interface (cncf-tags/container-device-interface, SPEC.md 0.5 to 1.1), for runtimes
// that read them from /etc/cdi and /run/cdi:
//
//   podman run --device gpuctl.jalien/lease=L1 …             all GPUs of a lease, with their masks
//   podman run --device gpuctl.jalien/gpu=0000:63:00.0 …     one GPU of the node
//
// The lowest version that holds what is in them is named: an older reader refuses a newer number. A node's devices carry no
// masks: with two of them the variables of the second would replace those of the first.
#pragma once

#include <vector>

#include "gpuctl/base/json.hpp"
#include "gpuctl/expose/exposure.hpp"

namespace gpuctl::expose {

// nullopt-like: a lease without an id is called "unnamed".
Json cdi_of_lease(const Exposure& exposure);

// `gpus`: those that can be used; one without known nodes is left out.
Json cdi_of_node(const std::vector<gpu::Gpu>& gpus, const std::string& root);

}  // namespace gpuctl::expose
