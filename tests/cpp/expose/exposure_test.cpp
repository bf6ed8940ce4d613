#include "gpuctl/expose/exposure.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "gpuctl/expose/cdi.hpp"
#include "gpuctl/expose/options.hpp"

using namespace gpuctl;
using namespace gpuctl::expose;

namespace {

gpu::Gpu intel(const char* id, const char* node, int order) {
  gpu::Gpu gpu;
  gpu.id = id;
  gpu.vendor = "intel";
  gpu.device_nodes = {node};
  gpu.card_nodes = {"/dev/dri/card7"};
  gpu.usable = true;
  gpu.orders.level_zero = order;
  return gpu;
}

gpu::Gpu nvidia(const char* id, const char* node, const char* uuid) {
  gpu::Gpu gpu;
  gpu.id = id;
  gpu.vendor = "nvidia";
  gpu.uuid = uuid;
  gpu.device_nodes = {node};
  gpu.shared_nodes = {"/dev/nvidiactl", "/dev/nvidia-uvm"};
  gpu.usable = true;
  return gpu;
}

std::string value_of(const Exposure& exposure, const std::string& name) {
  for (const auto& [each, value] : exposure.variables) {
    if (each == name) return value;
  }
  return "(none)";
}

bool has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

TEST_CASE("masks by index count what is inside the container") {
  ExportInput input;
  input.assigned = {intel("0000:4d:00.0", "/dev/dri/renderD130", 5),
                    intel("0000:3a:00.0", "/dev/dri/renderD129", 3)};
  const Exposure exposure = exposure_of(input);
  CHECK(value_of(exposure, "ZE_AFFINITY_MASK") == "1,0");
  CHECK(value_of(exposure, "ZE_ENABLE_PCI_ID_DEVICE_ORDER") == "1");
}

TEST_CASE("shared nodes come once, card nodes never") {
  ExportInput input;
  input.assigned = {nvidia("a", "/dev/nvidia0", "GPU-1"), nvidia("b", "/dev/nvidia3", "GPU-2"),
                    intel("c", "/dev/dri/renderD129", 0)};
  const Exposure exposure = exposure_of(input);
  std::vector<std::string> targets;
  for (const Mount& each : exposure.nodes) targets.push_back(each.target);
  CHECK(targets == std::vector<std::string>{"/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-uvm",
                                            "/dev/nvidia3", "/dev/dri/renderD129"});
  CHECK(value_of(exposure, "CUDA_VISIBLE_DEVICES") == "GPU-1,GPU-2");
}

TEST_CASE("stand-in nodes are below the root") {
  ExportInput input;
  input.assigned = {intel("c", "/dev/dri/renderD129", 0)};
  input.root = "/srv/node";
  const Exposure exposure = exposure_of(input);
  CHECK(exposure.nodes[0].source == "/srv/node/dev/dri/renderD129");
  CHECK(exposure.nodes[0].target == "/dev/dri/renderD129");
}

TEST_CASE("a GPU without known nodes is a problem") {
  ExportInput input;
  input.assigned = {intel("c", "", 0)};
  input.assigned[0].device_nodes.clear();
  CHECK(exposure_of(input).problems.size() == 1);
}

TEST_CASE("Apptainer's list of GPUs keeps its commas, and nothing inherited is left") {
  ExportInput input;
  input.assigned = {nvidia("a", "/dev/nvidia0", "GPU-1"), nvidia("b", "/dev/nvidia3", "GPU-2")};
  input.lease_file = "/run/l.json";
  const Options options = apptainer_options(exposure_of(input));
  CHECK(has(options.argv, "/dev/nvidia3:/dev/nvidia3"));
  CHECK(has(options.argv, "/run/l.json:/run/gpuctl-lease.json:ro"));
  CHECK_FALSE(has(options.argv, "--nv"));
  CHECK(has(options.unset, "APPTAINER_NV"));
  CHECK(has(options.unset, "APPTAINERENV_HIP_VISIBLE_DEVICES"));
  bool found = false;
  for (const auto& [name, value] : options.environment)
    found = found || (name == "APPTAINERENV_CUDA_VISIBLE_DEVICES" && value == "GPU-1,GPU-2");
  CHECK(found);
}

TEST_CASE("Podman keeps groups only where access is by one") {
  ExportInput input;
  input.assigned = {nvidia("a", "/dev/nvidia0", "GPU-1")};
  Exposure exposure = exposure_of(input);
  CHECK_FALSE(has(podman_options(exposure).argv, "--group-add=keep-groups"));
  exposure.by_group = true;
  const Options options = podman_options(exposure);
  CHECK(has(options.argv, "--group-add=keep-groups"));
  CHECK(has(options.argv, "--device=/dev/nvidia0:/dev/nvidia0:rw"));
  CHECK(has(options.argv, "--env=NVIDIA_VISIBLE_DEVICES=void"));
}

TEST_CASE("a shell's quotes hold what is between them") {
  Options options;
  options.argv = {"it's", "$HOME"};
  options.environment = {{"A", "'"}};
  CHECK(to_shell(options) == "export A=''\\'''\nset -- 'it'\\''s' '$HOME'\n");
}

TEST_CASE("CDI: a node's devices carry no masks, a lease's do") {
  const Json node = cdi_of_node(
      {nvidia("a", "/dev/nvidia0", "GPU-1"), nvidia("b", "/dev/nvidia3", "GPU-2")}, "/");
  CHECK(node["devices"].size() == 2);
  CHECK_FALSE(node["devices"][0]["containerEdits"].contains("env"));
  ExportInput input;
  input.lease_id = "l1";
  input.assigned = {nvidia("a", "/dev/nvidia0", "GPU-1")};
  const Json lease = cdi_of_lease(exposure_of(input));
  CHECK(lease["devices"][0]["name"] == "l1");
  CHECK(lease["devices"][0]["containerEdits"]["env"][0] == "CUDA_VISIBLE_DEVICES=GPU-1");
}
