#include "bindings.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {

std::string os_bytes(const py::str& text) {
  const auto bytes = py::reinterpret_steal<py::bytes>(PyUnicode_EncodeFSDefault(text.ptr()));
  if (!bytes) throw py::error_already_set();
  return bytes;
}

std::optional<std::string> bytes_or_nothing(const std::optional<py::str>& text) {
  return text ? std::optional<std::string>(os_bytes(*text)) : std::nullopt;
}

py::str os_text(const std::string& bytes) {
  auto text = py::reinterpret_steal<py::str>(
      PyUnicode_DecodeFSDefaultAndSize(bytes.data(), static_cast<Py_ssize_t>(bytes.size())));
  if (!text) throw py::error_already_set();
  return text;
}

}  // namespace gpuctl::bindings
