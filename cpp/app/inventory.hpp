// What every verb that reads the inventory does around it: the slot's environment in, the holders of nodes beside it.
#pragma once

#include "context.hpp"
#include "gpuctl/gpu/inventory.hpp"

namespace gpuctl::app {

gpu::SlotEnv slot_env(const Environment& environment);

// Fills Gpu::busy_by.
void look_for_holders(const HostFs& fs, gpu::Inventory& inventory);

}  // namespace gpuctl::app
