#include "gpuctl/gpu/json.hpp"

#include <utility>

namespace gpuctl::gpu {
namespace {

constexpr std::size_t kMembersOfGpu = 48;

Json to_json(const Health& health) {
  Json reasons = Json::array();
  for (const HealthReason& reason : health.reasons) {
    reasons.push_back({{"code", reason.code},
                       {"detail", reason.detail},
                       {"since_at", json_or_null(reason.since_at)}});
  }
  return {{"state", name_of(health.state)}, {"reasons", std::move(reasons)}};
}

Json to_json(const Orders& orders) {
  return {{"cuda", json_or_null(orders.cuda)},
          {"cuda_fastest_first", json_or_null(orders.cuda_fastest_first)},
          {"rocr", json_or_null(orders.rocr)},
          {"hip", json_or_null(orders.hip)},
          {"level_zero", json_or_null(orders.level_zero)},
          {"level_zero_flat", json_or_null(orders.level_zero_flat)}};
}

Json to_json(const Link& link) {
  return {{"id", link.id},
          {"type", link.type},
          {"hops", link.hops},
          {"bandwidth_bytes_per_s", json_or_null(link.bandwidth_bytes_per_s)}};
}

Json to_json(const AllotmentReason& reason) {
  return {{"code", reason.code}, {"detail", reason.detail}};
}

Json to_json(const Holder& holder) {
  return {{"pid", holder.pid},
          {"uid", holder.uid},
          {"name", holder.name},
          {"service", holder.service},
          {"nodes", holder.nodes}};
}

Json to_json(const HoldersLookedAt& looked_at) {
  return {{"processes_read", looked_at.processes_read},
          {"processes_unreadable", looked_at.processes_unreadable}};
}

Json to_json(const IgnoredDevice& device) {
  return {{"pci_address", device.pci_address.text()},
          {"vendor_id", json_or_null(device.vendor_id)},
          {"device_id", json_or_null(device.device_id)},
          {"class_id", json_or_null(device.class_id)},
          {"reason", {{"code", device.reason.code}, {"detail", device.reason.detail}}}};
}

Json to_json(const Problem& problem) {
  return {{"pci_address", json_or_null(problem.pci_address)},
          {"code", name_of(problem.error.code)},
          {"path", problem.error.path.empty() ? Json(nullptr) : Json(problem.error.path)},
          {"detail", problem.error.message()}};
}

template <typename T>
Json to_array(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(to_json(value));
  return array;
}

}  // namespace

Json to_json(const Gpu& gpu) {
  Json::object_t members;
  members.reserve(kMembersOfGpu);
  const auto add = [&members](const char* key, Json value) {
    members.append(key, std::move(value));
  };
  add("pci_address", gpu.pci_address ? Json(gpu.pci_address->text()) : Json(nullptr));
  add("id", gpu.id);
  add("parent_id", json_or_null(gpu.parent_id));
  add("kind", name_of(gpu.kind));
  add("vendor", gpu.vendor);
  add("vendor_id", gpu.vendor_id);
  add("device_id", json_or_null(gpu.device_id));
  add("subsystem_id", json_or_null(gpu.subsystem_id));
  add("class_id", json_or_null(gpu.class_id));
  add("revision", json_or_null(gpu.revision));
  add("model", json_or_null(gpu.model));
  add("names", gpu.names);
  add("architecture", json_or_null(gpu.architecture));
  add("chip", json_or_null(gpu.chip));
  add("isa", json_or_null(gpu.isa));
  add("memory_total_bytes", json_or_null(gpu.memory_total_bytes));
  add("memory_source", json_or_null(gpu.memory_source));
  add("compute_units", json_or_null(gpu.compute_units));
  add("tiles", json_or_null(gpu.tiles));
  add("integrated", gpu.integrated);
  add("uuid", json_or_null(gpu.uuid));
  add("unique_id", json_or_null(gpu.unique_id));
  add("numa_node", json_or_null(gpu.numa_node));
  add("local_cpus", json_or_null(gpu.local_cpus));
  add("links", gpu.links ? to_array(*gpu.links) : Json(nullptr));
  add("driver", json_or_null(gpu.driver));
  add("driver_version", json_or_null(gpu.driver_version));
  add("power_state", json_or_null(gpu.power_state));
  add("compute_partition", json_or_null(gpu.compute_partition));
  add("memory_partition", json_or_null(gpu.memory_partition));
  add("virtual_functions", json_or_null(gpu.virtual_functions));
  add("device_nodes", gpu.device_nodes);
  add("card_nodes", gpu.card_nodes);
  add("shared_nodes", gpu.shared_nodes);
  add("health", to_json(gpu.health));
  add("usable", gpu.usable);
  add("allotted", gpu.allotted);
  add("allotment_reasons", to_array(gpu.allotment_reasons));
  add("orders", to_json(gpu.orders));
  add("busy_by", to_array(gpu.busy_by));
  add("sources", gpu.sources);
  return members;
}

Json to_json(const Inventory& inventory) {
  Json json = Json::object();
  json["schema"] = "gpuctl.discover/1";
  json["gpus"] = to_array(inventory.gpus);
  json["ignored"] = to_array(inventory.ignored);
  json["problems"] = to_array(inventory.problems);
  json["pci_function_count"] = inventory.pci_function_count;
  json["holders"] = inventory.holders_looked_at ? to_json(*inventory.holders_looked_at) : Json();
  return json;
}

}  // namespace gpuctl::gpu
