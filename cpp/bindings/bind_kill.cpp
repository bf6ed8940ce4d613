#include <pybind11/stl.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/job/kill_job.hpp"
#include "gpuctl/kill/kill.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

std::vector<std::string> as_bytes(const std::vector<py::str>& texts) {
  std::vector<std::string> all;
  for (const py::str& text : texts) all.push_back(os_bytes(text));
  return all;
}

Result<kill::Order> order_of(Usec grace, const std::vector<std::string>& spare) {
  kill::Order order;
  order.grace = grace;
  for (const std::string& text : spare) {
    Result<kill::Spared> spared = kill::parse_spared(text);
    if (!spared) return fail(spared.error());
    order.spared.push_back(std::move(*spared));
  }
  return order;
}

// `end(fs, order)`; the report as JSON.
template <typename End>
Result<std::string> end_here(Usec grace, const std::vector<std::string>& spare, const End& end) {
  const Result<kill::Order> order = order_of(grace, spare);
  if (!order) return fail(order.error());
  const Result<HostFs> fs = HostFs::open("/");
  if (!fs) return fail(fs.error());
  const Result<kill::Report> report = end(*fs, *order);
  if (!report) return fail(report.error());
  return to_line(kill::to_json(*report));
}

std::string kill_pid(std::int64_t pid, Usec grace, const std::vector<py::str>& spare) {
  const std::vector<std::string> spared = as_bytes(spare);
  Result<std::string> report = [&] {
    const py::gil_scoped_release release;
    return end_here(grace, spared, [&](const HostFs& fs, const kill::Order& order) {
      return kill::end_process(fs, pid, order);
    });
  }();
  return value_or_raise(std::move(report));
}

std::string kill_cgroup(const py::str& path, Usec grace, const std::vector<py::str>& spare) {
  const std::vector<std::string> spared = as_bytes(spare);
  const std::string place = os_bytes(path);
  Result<std::string> report = [&] {
    const py::gil_scoped_release release;
    return end_here(grace, spared, [&](const HostFs& fs, const kill::Order& order) {
      return kill::end_cgroup(fs, place, order);
    });
  }();
  return value_or_raise(std::move(report));
}

uid_t job_owner(const std::optional<py::str>& state_dir, const py::str& job,
                const std::optional<std::string>& resubmission) {
  const job::JobName name = value_or_raise(job::parse_job_name(os_bytes(job), resubmission));
  const std::optional<std::string> state = bytes_or_nothing(state_dir);
  Result<uid_t> owner = [&] {
    const py::gil_scoped_release release;
    return job::owner_of_job(state, name);
  }();
  return value_or_raise(std::move(owner));
}

py::tuple kill_job(const std::optional<py::str>& state_dir, const py::str& job,
                   const std::optional<std::string>& resubmission, std::optional<Usec> grace,
                   const std::vector<py::str>& spare) {
  const job::JobName name = value_or_raise(job::parse_job_name(os_bytes(job), resubmission));
  const std::optional<std::string> state = bytes_or_nothing(state_dir);
  job::KillRequest request;
  request.grace = grace;
  request.spare = as_bytes(spare);
  request.by = "pid " + std::to_string(::getpid()) + " of uid " + std::to_string(::geteuid());
  Result<job::JobKill> done = [&] {
    const py::gil_scoped_release release;
    return job::kill_job(state, name, request);
  }();
  const job::JobKill kill = value_or_raise(std::move(done));
  py::list problems;
  for (const std::string& problem : kill.problems) problems.append(os_text(problem));
  return py::make_tuple(to_line(kill.kill), kill.gone, problems);
}

}  // namespace

void bind_kill(py::module_& module) {
  module.def("kill_pid", &kill_pid, py::arg("pid"), py::arg("grace_usec"), py::arg("spare"));
  module.def("kill_cgroup", &kill_cgroup, py::arg("path"), py::arg("grace_usec"), py::arg("spare"));
  module.def("job_owner", &job_owner, py::arg("state_dir"), py::arg("job"),
             py::arg("resubmission"));
  module.def("kill_job", &kill_job, py::arg("state_dir"), py::arg("job"), py::arg("resubmission"),
             py::arg("grace_usec"), py::arg("spare"));
}

}  // namespace gpuctl::bindings
