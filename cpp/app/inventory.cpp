#include "inventory.hpp"

#include "gpuctl/gpu/holders.hpp"
#include "gpuctl/proc/holders.hpp"

namespace gpuctl::app {

gpu::SlotEnv slot_env(const Environment& environment) {
  return gpu::make_slot_env([&](const std::string& name) { return environment.find(name); });
}

void look_for_holders(const HostFs& fs, gpu::Inventory& inventory) {
  if (inventory.gpus.empty()) return;
  const proc::NodeHolders found = proc::holders_of_gpu_nodes(fs);
  if (!found.looked) return;
  std::vector<gpu::Holder> holders;
  for (const proc::NodeHolder& each : found.holders)
    holders.push_back({each.pid, each.uid, each.name, false, each.nodes});
  gpu::add_holders(inventory, holders, {found.processes_read, found.processes_unreadable});
}

}  // namespace gpuctl::app
