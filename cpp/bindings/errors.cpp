#include "errors.hpp"

#include "bindings.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {

py::object exception_of(const Error& error) {
  using namespace py::literals;  // NOLINT: the literals of one library
  const py::object none = py::none();
  return py::module_::import("gpuctl.errors")
      .attr("error_for")(
          name_of(error.code), os_text(error.message()),
          "path"_a = error.path.empty() ? none : py::object(os_text(error.path)),
          "errno"_a = error.errno_value == 0 ? none : py::object(py::int_(error.errno_value)),
          "detail"_a = os_text(error.detail));
}

void raise(const Error& error) {
  const py::object exception = exception_of(error);
  PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
  throw py::error_already_set();
}

}  // namespace gpuctl::bindings
