#include "bindings.hpp"
#include "gpuctl/job/kill_reason.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {

void bind_job(py::module_& module) {
  module.def("kill_reasons", [] {
    py::list rows;
    for (const job::KillReason& each : job::kill_reasons()) {
      py::dict row;
      row["name"] = each.name;
      row["code"] = each.code;
      row["jalien_code"] = each.jalien_code;
      row["meaning"] = each.meaning;
      rows.append(row);
    }
    return rows;
  });
}

}  // namespace gpuctl::bindings
