#include "gpuctl/gpu/holders.hpp"

#include <algorithm>
#include <array>

#include "gpuctl/gpu/mig.hpp"

namespace gpuctl::gpu {
namespace {

constexpr unsigned kFirstOrdinaryUser = 1000;  // UID_MIN of login.defs(5)

// As /proc/PID/comm has them: 15 bytes of the name.
constexpr std::array<const char*, 10> kServices{
    "nvidia-persiste", "nvidia-fabricma", "nvidia-powerd", "nv-hostengine",   "dcgm-exporter",
    "systemd-logind",  "xpumd",           "nvsm_core",     "amd_metrics_exp", "gpuagent"};

// The nodes that only users of this very GPU have open.
std::vector<std::string> own_nodes(const Gpu& gpu) {
  if (!gpu.device_nodes.empty() && is_cap_node(gpu.device_nodes.back()))
    return {gpu.device_nodes.back()};
  std::vector<std::string> nodes = gpu.device_nodes;
  nodes.insert(nodes.end(), gpu.card_nodes.begin(), gpu.card_nodes.end());
  return nodes;
}

// The holder with the nodes that are this GPU's only.
Holder holder_of(const Holder& holder, const std::vector<std::string>& own) {
  Holder part = holder;
  const auto foreign = [&](const std::string& node) {
    return std::find(own.begin(), own.end(), node) == own.end();
  };
  part.nodes.erase(std::remove_if(part.nodes.begin(), part.nodes.end(), foreign), part.nodes.end());
  part.service = is_service(holder);
  return part;
}

}  // namespace

bool is_service(const Holder& holder) {
  return holder.uid < kFirstOrdinaryUser &&
         std::any_of(
             kServices.begin(), kServices.end(),
             [&](const char* name) { return holder.name == name; });
}

void add_holders(Inventory& inventory, const std::vector<Holder>& holders,
                 const HoldersLookedAt& looked_at) {
  inventory.holders_looked_at = looked_at;
  for (Gpu& gpu : inventory.gpus) {
    const std::vector<std::string> own = own_nodes(gpu);
    for (const Holder& each : holders) {
      Holder part = holder_of(each, own);
      if (!part.nodes.empty()) gpu.busy_by.push_back(std::move(part));
    }
  }
}

}  // namespace gpuctl::gpu
