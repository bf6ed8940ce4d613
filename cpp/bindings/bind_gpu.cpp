#include <pybind11/stl.h>

#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/gpu/json.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

Result<std::string> discover_text(const std::string& root,
                                  const std::optional<std::vector<std::string>>& pci_ids_files) {
  const Result<HostFs> fs = HostFs::open(root);
  if (!fs) return fail(fs.error());
  gpu::DiscoverOptions options;
  if (pci_ids_files) options.pci_ids_files = *pci_ids_files;
  const Result<gpu::Inventory> inventory = gpu::discover(*fs, options);
  if (!inventory) return fail(inventory.error());
  return to_line(gpu::to_json(*inventory));
}

std::string discover_json(const py::str& root,
                          const std::optional<std::vector<py::str>>& pci_ids_files) {
  const std::string root_path = os_bytes(root);
  std::optional<std::vector<std::string>> names;
  if (pci_ids_files) {
    names.emplace();
    for (const py::str& file : *pci_ids_files) names->push_back(os_bytes(file));
  }
  Result<std::string> text = [&] {
    const py::gil_scoped_release release;
    return discover_text(root_path, names);
  }();
  return value_or_raise(std::move(text));
}

}  // namespace

void bind_gpu(py::module_& module) {
  module.def("discover_json", &discover_json, py::arg("root"), py::arg("pci_ids_files"));
}

}  // namespace gpuctl::bindings
