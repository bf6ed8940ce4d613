#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/expose/options.hpp"
#include "gpuctl/gpu/inventory.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

struct Question {
  std::string format;
  std::optional<std::string> pci_ids;
  std::vector<std::string> gpu_ids;
  expose::ExportInput input;
};

Result<void> choose(const gpu::Inventory& inventory, Question& question) {
  for (const std::string& id : question.gpu_ids) {
    const auto found = std::find_if(inventory.gpus.begin(), inventory.gpus.end(),
                                    [&](const gpu::Gpu& each) { return each.id == id; });
    if (found == inventory.gpus.end())
      return fail(ErrorCode::not_found, "", "no GPU `" + id + "` on this node");
    question.input.assigned.push_back(*found);
  }
  return {};
}

Result<std::string> answer(Question& question) {
  const Result<HostFs> fs = HostFs::open(question.input.root);
  if (!fs) return fail(fs.error());
  if (!question.gpu_ids.empty()) {
    const Result<gpu::DiscoverOptions> options = gpu::make_discover_options(question.pci_ids);
    if (!options) return fail(options.error());
    const Result<gpu::Inventory> inventory = gpu::discover(*fs, *options);
    if (!inventory) return fail(inventory.error());
    if (Result<void> chosen = choose(*inventory, question); !chosen) return fail(chosen.error());
  }
  expose::Exposure exposure = expose::exposure_of(question.input);
  exposure.by_group = expose::reached_by_group(exposure.nodes);
  exposure.selinux = expose::has_selinux(*fs);
  const expose::Options options = question.format == "apptainer"
                                      ? expose::apptainer_options(exposure)
                                  : question.format == "podman" ? expose::podman_options(exposure)
                                                                : expose::env_options(exposure);
  return to_line(expose::to_json(question.format, exposure, options));
}

std::string expose_json(const std::string& format, const py::str& root,
                        const std::optional<py::str>& pci_ids,
                        const std::vector<std::string>& gpu_ids,
                        const std::vector<py::str>& libraries,
                        const std::optional<std::string>& lease_id,
                        const std::optional<py::str>& lease_file) {
  Question question;
  question.format = format;
  question.gpu_ids = gpu_ids;
  question.input.root = os_bytes(root);
  if (pci_ids) question.pci_ids = os_bytes(*pci_ids);
  for (const py::str& each : libraries) question.input.libraries.push_back(os_bytes(each));
  question.input.lease_id = lease_id;
  if (lease_file) question.input.lease_file = os_bytes(*lease_file);
  Result<std::string> text = [&] {
    const py::gil_scoped_release release;
    return answer(question);
  }();
  return value_or_raise(std::move(text));
}

}  // namespace

void bind_expose(py::module_& module) {
  module.def("expose_json", &expose_json, py::arg("format"), py::arg("root"), py::arg("pci_ids"),
             py::arg("gpu_ids"), py::arg("libraries"), py::arg("lease_id"), py::arg("lease_file"));
  module.attr("libraries_inside") = expose::kLibrariesInside;
}

}  // namespace gpuctl::bindings
