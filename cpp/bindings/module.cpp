// gpuctl._core: the core as Python sees it. Nobody imports it but the package itself.
#include "bindings.hpp"

PYBIND11_MODULE(_core, module) {
  module.attr("version") = GPUCTL_VERSION;
  gpuctl::bindings::bind_base(module);
  gpuctl::bindings::bind_gpu(module);
  gpuctl::bindings::bind_catalogue(module);
  gpuctl::bindings::bind_match(module);
  gpuctl::bindings::bind_proc(module);
  gpuctl::bindings::bind_cgroup(module);
  gpuctl::bindings::bind_lease(module);
  gpuctl::bindings::bind_job(module);
  gpuctl::bindings::bind_kill(module);
  gpuctl::bindings::bind_expose(module);
  gpuctl::bindings::bind_quarantine(module);
  gpuctl::bindings::bind_app(module);
}
