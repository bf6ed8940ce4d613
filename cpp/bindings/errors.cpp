#include "errors.hpp"

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

// Paths and details quote names that others chose: bytes that are no UTF-8 become surrogates, as os.fsdecode has it.
py::object to_python(const std::string& text) {
  PyObject* decoded =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
  if (decoded == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(decoded);
}

}  // namespace

void raise(const Error& error) {
  using namespace py::literals;  // NOLINT: the literals of one library
  const py::object none = py::none();
  const py::object exception = py::module_::import("gpuctl.errors")
                                   .attr("error_for")(name_of(error.code), to_python(error.message()),
                                                      "path"_a = error.path.empty() ? none : to_python(error.path),
                                                      "errno"_a = error.errno_value == 0 ? none : py::int_(error.errno_value),
                                                      "detail"_a = to_python(error.detail));
  PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
  throw py::error_already_set();
}

}  // namespace gpuctl::bindings
