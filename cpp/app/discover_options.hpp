// How `context` wants the inventory to be read.
#pragma once

#include "context.hpp"
#include "gpuctl/gpu/inventory.hpp"

namespace gpuctl::app {

// A pci.ids that the settings name must be there; ErrorCode of its opening otherwise.
Result<gpu::DiscoverOptions> discover_options(const Context& context);

}  // namespace gpuctl::app
