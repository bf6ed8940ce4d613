// The parts of gpuctl._core: one function for each room that Python sees. python/gpuctl/_core.pyi is their documentation.
//
// Thin: each function reads what it is given, calls the core with the GIL released where that can block, and hands
// the answer over as plain str, int, list and dict.
#pragma once

#include <pybind11/pybind11.h>

#include <optional>
#include <string>

namespace gpuctl::bindings {

// Paths, names and words from outside are bytes that need not be UTF-8: as os.fsencode and os.fsdecode have them.
std::string os_bytes(const pybind11::str& text);
std::optional<std::string> bytes_or_nothing(const std::optional<pybind11::str>& text);
pybind11::str os_text(const std::string& bytes);

void bind_base(pybind11::module_& module);        // settings, ids, stamps
void bind_gpu(pybind11::module_& module);         // the inventory
void bind_catalogue(pybind11::module_& module);   // what ids alone tell of a GPU
void bind_match(pybind11::module_& module);       // does a GPU fit a wish
void bind_proc(pybind11::module_& module);        // snapshots, identities, trees
void bind_cgroup(pybind11::module_& module);      // homes, limits, accounting
void bind_lease(pybind11::module_& module);       // the ledger
void bind_job(pybind11::module_& module);         // kill reasons
void bind_kill(pybind11::module_& module);        // ending processes, cgroups and jobs
void bind_quarantine(pybind11::module_& module);  // a GPU that gets no new jobs
void bind_expose(pybind11::module_& module);      // GPUs as a container runtime wants to hear them
void bind_app(pybind11::module_& module);         // the tables of the command line

}  // namespace gpuctl::bindings
