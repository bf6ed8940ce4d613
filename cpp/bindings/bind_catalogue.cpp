// What the core knows of GPUs by their ids alone: for what vendor tools say, where there is no sysfs to read.
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/gpu/catalogue.hpp"
#include "gpuctl/gpu/classify.hpp"
#include "gpuctl/gpu/inventory.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

// address, class code of 24 bits, vendor, device, driver or ""
using FunctionRow =
    std::tuple<std::string, std::uint32_t, std::uint16_t, std::uint16_t, std::string>;

gpu::PciFunction function_of(const FunctionRow& row) {
  gpu::PciFunction function;
  function.address = value_or_raise(gpu::PciAddress::parse(std::get<0>(row)));
  function.class_code = std::get<1>(row);
  function.vendor = std::get<2>(row);
  function.device = std::get<3>(row);
  if (!std::get<4>(row).empty()) function.driver = std::get<4>(row);
  return function;
}

const char* name_of(gpu::Role role) {
  switch (role) {
    case gpu::Role::gpu: return "gpu";
    case gpu::Role::ignored: return "ignored";
    case gpu::Role::unrelated: return "unrelated";
  }
  return "unrelated";
}

py::list classify_functions(const std::vector<FunctionRow>& rows) {
  std::vector<gpu::PciFunction> functions;
  functions.reserve(rows.size());
  for (const FunctionRow& row : rows) functions.push_back(function_of(row));
  std::vector<gpu::PciFunction> sorted = functions;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  py::list verdicts;
  for (const gpu::PciFunction& each : functions) {
    const gpu::Verdict verdict = gpu::classify(each, sorted);
    verdicts.append(
        py::make_tuple(name_of(verdict.role), verdict.reason.code, verdict.reason.detail));
  }
  return verdicts;
}

struct Description {
  std::optional<std::string> name;
  gpu::ChipAndModel parts;
  gpu::Architecture architecture;
  bool integrated = false;
};

Result<Description> description_of(const gpu::ModelEvidence& evidence,
                                   const std::optional<std::string>& pci_ids) {
  const Result<gpu::DiscoverOptions> options = gpu::make_discover_options(pci_ids);
  if (!options) return fail(options.error());
  Description found;
  found.name = gpu::NameSource(options->pci_ids_files, {evidence.id}).name(evidence.id);
  if (!found.name) return found;
  found.parts = gpu::split_name(evidence.id.vendor, *found.name);
  if (found.parts.model) found.parts.model = gpu::choose_model(*found.parts.model, evidence);
  found.architecture = gpu::architecture_of(evidence.id.vendor, found.parts);
  const gpu::PciFunction by_chip{{}, 0, evidence.id.vendor, evidence.id.device, {}, {}};
  found.integrated = evidence.id.vendor != gpu::kVendorIntel && found.parts.chip &&
                     gpu::is_integrated(by_chip, *found.parts.chip);
  return found;
}

py::dict describe_gpu(std::uint16_t vendor, std::uint16_t device,
                      std::optional<std::uint8_t> revision,
                      std::optional<std::uint64_t> memory_total_bytes,
                      const std::optional<py::str>& pci_ids) {
  const std::optional<std::string> file = bytes_or_nothing(pci_ids);
  Result<Description> read = [&] {
    const py::gil_scoped_release release;
    return description_of({{vendor, device}, revision, memory_total_bytes}, file);
  }();
  const Description found = value_or_raise(std::move(read));
  py::dict row;
  row["name"] = found.name;
  row["chip"] = found.parts.chip;
  row["model"] = found.parts.model;
  row["architecture"] = found.architecture.name;
  row["isa"] = found.architecture.isa;
  row["integrated"] = found.integrated;
  return row;
}

// The table compiled in has some thousand names: going through all ids takes milliseconds.
std::vector<std::uint16_t> catalogue_ids(std::uint16_t vendor, const std::string& name) {
  const py::gil_scoped_release release;
  std::vector<std::uint16_t> found;
  for (std::uint32_t device = 0; device <= 0xffff; ++device) {
    if (gpu::catalogue_name(vendor, static_cast<std::uint16_t>(device)) == name)
      found.push_back(static_cast<std::uint16_t>(device));
  }
  return found;
}

}  // namespace

void bind_catalogue(py::module_& module) {
  module.def("classify_functions", &classify_functions, py::arg("rows"));
  module.def("describe_gpu", &describe_gpu, py::arg("vendor"), py::arg("device"),
             py::arg("revision"), py::arg("memory_total_bytes"), py::arg("pci_ids"));
  module.def("catalogue_ids", &catalogue_ids, py::arg("vendor"), py::arg("name"));
}

}  // namespace gpuctl::bindings
