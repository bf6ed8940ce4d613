// Which GPU is in use by whom: joins the processes that hold device nodes (proc/holders.hpp) with the inventory.
//
// This room does not read processes, so that the caller brings them as values:
//
//   add_holders(inventory, holders, read, unreadable);
#pragma once

#include <cstddef>
#include <vector>

#include "gpuctl/gpu/inventory.hpp"

namespace gpuctl::gpu {

// Fills Gpu::busy_by and Inventory::holders_looked_at. Of a MIG instance its own capability counts, not the GPU's node,
// which all of them share; the nodes that all GPUs of a driver share say nothing about one.
void add_holders(Inventory& inventory, const std::vector<Holder>& holders,
                 const HoldersLookedAt& looked_at);

// Daemons that keep nodes open and compute nothing: persistence, monitoring, sessions. Only of a system user (a uid
// below 1000), since any program may take any name.
bool is_service(const Holder& holder);

}  // namespace gpuctl::gpu
