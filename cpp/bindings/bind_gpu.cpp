#include <pybind11/stl.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/gpu/holders.hpp"
#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/gpu/json.hpp"
#include "gpuctl/proc/holders.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

using Variables = std::map<std::string, std::string>;

gpu::SlotEnv slot_of(const Variables& variables) {
  return gpu::make_slot_env([&](const std::string& name) -> gpu::SlotEnv::Value {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  });
}

void add_holders(const HostFs& fs, gpu::Inventory& inventory) {
  if (inventory.gpus.empty()) return;
  const proc::NodeHolders found = proc::holders_of_gpu_nodes(fs);
  if (!found.looked) return;
  std::vector<gpu::Holder> holders;
  for (const proc::NodeHolder& each : found.holders)
    holders.push_back({each.pid, each.uid, each.name, false, each.nodes});
  gpu::add_holders(inventory, holders, {found.processes_read, found.processes_unreadable});
}

Result<std::string> discover_text(const std::string& root,
                                  const std::optional<std::string>& pci_ids,
                                  const Variables& slot) {
  const Result<HostFs> fs = HostFs::open(root);
  if (!fs) return fail(fs.error());
  Result<gpu::DiscoverOptions> options = gpu::make_discover_options(pci_ids);
  if (!options) return fail(options.error());
  options->slot = slot_of(slot);
  Result<gpu::Inventory> inventory = gpu::discover(*fs, *options);
  if (!inventory) return fail(inventory.error());
  add_holders(*fs, *inventory);
  return to_line(gpu::to_json(*inventory));
}

std::string discover_json(const py::str& root, const std::optional<py::str>& pci_ids,
                          const std::map<std::string, py::str>& slot) {
  const std::string root_path = os_bytes(root);
  const std::optional<std::string> names = bytes_or_nothing(pci_ids);
  Variables variables;
  for (const auto& [name, value] : slot) variables[name] = os_bytes(value);
  Result<std::string> text = [&] {
    const py::gil_scoped_release release;
    return discover_text(root_path, names, variables);
  }();
  return value_or_raise(std::move(text));
}

}  // namespace

void bind_gpu(py::module_& module) {
  module.def("discover_json", &discover_json, py::arg("root"), py::arg("pci_ids"), py::arg("slot"));
  module.def("slot_variables", [] { return gpu::slot_variables(); });
}

}  // namespace gpuctl::bindings
