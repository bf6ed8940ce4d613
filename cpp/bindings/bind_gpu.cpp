#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/gpu/json.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

Result<std::string> discover_text(const std::string& root,
                                  const std::optional<std::string>& pci_ids) {
  const Result<HostFs> fs = HostFs::open(root);
  if (!fs) return fail(fs.error());
  const Result<gpu::DiscoverOptions> options = gpu::make_discover_options(pci_ids);
  if (!options) return fail(options.error());
  const Result<gpu::Inventory> inventory = gpu::discover(*fs, *options);
  if (!inventory) return fail(inventory.error());
  return to_line(gpu::to_json(*inventory));
}

std::string discover_json(const py::str& root, const std::optional<py::str>& pci_ids) {
  const std::string root_path = os_bytes(root);
  const std::optional<std::string> names =
      pci_ids ? std::optional(os_bytes(*pci_ids)) : std::nullopt;
  Result<std::string> text = [&] {
    const py::gil_scoped_release release;
    return discover_text(root_path, names);
  }();
  return value_or_raise(std::move(text));
}

}  // namespace

void bind_gpu(py::module_& module) {
  module.def("discover_json", &discover_json, py::arg("root"), py::arg("pci_ids"));
}

}  // namespace gpuctl::bindings
