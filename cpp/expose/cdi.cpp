#include "gpuctl/expose/cdi.hpp"

namespace gpuctl::expose {
namespace {

// A device name that begins with a digit, and hostPath, came with 0.5.0.
constexpr const char* kVersion = "0.5.0";
constexpr const char* kLeaseKind = "gpuctl.jalien/lease";
constexpr const char* kNodeKind = "gpuctl.jalien/gpu";

Json node_json(const Mount& node) {
  Json json = {{"path", node.target}};
  if (node.source != node.target) json["hostPath"] = node.source;
  json["permissions"] = "rw";
  return json;
}

Json mount_json(const Mount& file) {
  return {{"hostPath", file.source},
          {"containerPath", file.target},
          {"options", {"ro", "nosuid", "nodev", "bind"}}};
}

Json edits_of(const Exposure& exposure) {
  Json edits = Json::object();
  for (const Mount& node : exposure.nodes) edits["deviceNodes"].push_back(node_json(node));
  for (const Mount& file : exposure.files) edits["mounts"].push_back(mount_json(file));
  return edits;
}

// The NVIDIA hook would add all GPUs to an image that asks for them.
Json hook_off() { return "NVIDIA_VISIBLE_DEVICES=void"; }

Json spec(const char* kind, Json devices) {
  return {{"cdiVersion", kVersion},
          {"kind", kind},
          {"devices", std::move(devices)},
          {"containerEdits", {{"env", Json::array({hook_off()})}}}};
}

}  // namespace

Json cdi_of_lease(const Exposure& exposure) {
  Json edits = edits_of(exposure);
  for (const auto& [name, value] : exposure.variables) {
    if (!value.empty()) edits["env"].push_back(name + "=" + value);
  }
  Json device = {{"name", exposure.lease_id.value_or("unnamed")}, {"containerEdits", edits}};
  return spec(kLeaseKind, Json::array({std::move(device)}));
}

Json cdi_of_node(const std::vector<gpu::Gpu>& gpus, const std::string& root) {
  Json devices = Json::array();
  for (const gpu::Gpu& each : gpus) {
    if (!each.usable || each.device_nodes.empty()) continue;
    ExportInput input;
    input.assigned = {each};
    input.root = root;
    devices.push_back({{"name", each.id}, {"containerEdits", edits_of(exposure_of(input))}});
  }
  return spec(kNodeKind, std::move(devices));
}

}  // namespace gpuctl::expose
