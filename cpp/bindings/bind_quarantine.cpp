#include <pybind11/stl.h>

#include <optional>
#include <string>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/lease/ledger.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

Result<void> drain_unit(const std::string& root, const std::optional<std::string>& state_dir,
                        const std::string& unit, const std::string& reason) {
  const Result<HostFs> fs = HostFs::open(root);
  if (!fs) return fail(fs.error());
  Result<lease::Ledger> ledger = lease::Ledger::open({&*fs, state_dir, lease::Scope::slot});
  if (!ledger) return fail(ledger.error());
  lease::DrainOrder order;
  order.unit_id = unit;
  order.reason = reason;
  order.cause = "sanity";
  order.needs_check = true;
  const Result<lease::Drain> drained = ledger->drain(order);
  return drained ? Result<void>() : fail(drained.error());
}

void quarantine_gpu(const py::str& root, const std::optional<py::str>& state_dir,
                    const std::string& gpu_id, const py::str& reason) {
  const std::string root_path = os_bytes(root);
  const std::string words = os_bytes(reason);
  const std::optional<std::string> state = bytes_or_nothing(state_dir);
  const Result<void> done = [&] {
    const py::gil_scoped_release release;
    return drain_unit(root_path, state, gpu_id, words);
  }();
  if (!done) raise(done.error());
}

}  // namespace

void bind_quarantine(py::module_& module) {
  module.def("quarantine_gpu", &quarantine_gpu, py::arg("root"), py::arg("state_dir"),
             py::arg("gpu_id"), py::arg("reason"));
}

}  // namespace gpuctl::bindings
