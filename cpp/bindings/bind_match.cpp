#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "gpuctl/gpu/match.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

std::vector<std::string> as_bytes(const std::vector<py::str>& texts) {
  std::vector<std::string> all;
  for (const py::str& text : texts) all.push_back(os_bytes(text));
  return all;
}

py::list as_texts(const std::vector<std::string>& all) {
  py::list texts;
  for (const std::string& each : all) texts.append(os_text(each));
  return texts;
}

std::optional<py::str> gpu_mismatch(
    const std::vector<py::str>& vendors, const std::vector<py::str>& models,
    const std::vector<py::str>& architectures, std::optional<std::uint64_t> memory_bytes,
    const py::str& gpu_vendor, const std::vector<py::str>& gpu_names,
    const std::vector<py::str>& gpu_architectures, std::optional<std::uint64_t> gpu_memory_bytes) {
  gpu::Wish wish;
  wish.vendors = as_bytes(vendors);
  wish.models = as_bytes(models);
  wish.architectures = as_bytes(architectures);
  wish.memory_bytes = memory_bytes;
  const gpu::Traits traits{os_bytes(gpu_vendor), as_bytes(gpu_names), as_bytes(gpu_architectures),
                           gpu_memory_bytes};
  const std::optional<std::string> words = gpu::mismatch(wish, traits);
  if (!words) return std::nullopt;
  return os_text(*words);
}

py::tuple wanted_model(const py::str& text) {
  const gpu::WantedModel model(os_bytes(text));
  return py::make_tuple(as_texts(model.words()), model.sizes_bytes());
}

bool model_in_name(const py::str& text, const py::str& name, const py::str& vendor,
                   bool with_sizes) {
  return gpu::WantedModel(os_bytes(text)).in_name(os_bytes(name), os_bytes(vendor), with_sizes);
}

}  // namespace

void bind_match(py::module_& module) {
  module.def("gpu_mismatch", &gpu_mismatch, py::arg("vendors"), py::arg("models"),
             py::arg("architectures"), py::arg("memory_bytes"), py::arg("gpu_vendor"),
             py::arg("gpu_names"), py::arg("gpu_architectures"), py::arg("gpu_memory_bytes"));
  module.def("wanted_model", &wanted_model, py::arg("text"));
  module.def("model_in_name", &model_in_name, py::arg("text"), py::arg("name"), py::arg("vendor"),
             py::arg("with_sizes"));
  module.def(
      "name_alternatives",
      [](const py::str& name) { return as_texts(gpu::name_alternatives(os_bytes(name))); },
      py::arg("name"));
}

}  // namespace gpuctl::bindings
