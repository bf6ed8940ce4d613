#include <pybind11/stl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/cgroup/json.hpp"
#include "gpuctl/cgroup/limits.hpp"
#include "gpuctl/cgroup/sampler.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

using cgroup::Group;
using cgroup::OneSample;
using cgroup::Usage;

// nothing: our own; a pid; a path.
using Which = std::variant<std::monostate, pid_t, std::string>;

Which which_of(const py::object& wanted) {
  if (wanted.is_none()) return {};
  if (py::isinstance<py::int_>(wanted)) return wanted.cast<pid_t>();
  return os_bytes(wanted.cast<py::str>());
}

Result<Group> find_group(const HostFs& fs, const Which& which) {
  if (const pid_t* pid = std::get_if<pid_t>(&which)) return Group::of_process(fs, *pid);
  if (const std::string* path = std::get_if<std::string>(&which)) return Group::at(fs, *path);
  return Group::of_self(fs);
}

// `entries`: our own environment; nothing: that of the process, where it may be read.
cgroup::SlotEnv slot_env(const HostFs& fs, const Group& group,
                         const std::optional<std::vector<std::string>>& entries) {
  if (entries) return cgroup::SlotEnv::from(*entries);
  return group.pid() ? cgroup::read_slot_env(fs, *group.pid()) : cgroup::SlotEnv();
}

Result<std::string> describe(const std::string& root, const Which& which,
                             const std::optional<std::vector<std::string>>& entries,
                             bool processes) {
  const Result<HostFs> fs = HostFs::open(root);
  if (!fs) return fail(fs.error());
  const Result<Group> group = find_group(*fs, which);
  if (!group) return fail(group.error());
  const cgroup::Limits limits = cgroup::read_limits(*fs, *group, slot_env(*fs, *group, entries));
  const bool tree = group->pid() && (processes || !group->has_directory());
  const OneSample sample =
      tree ? cgroup::sample_processes(*fs, *group->pid()) : cgroup::sample_once(*fs, *group);
  return to_line(cgroup::to_json(*group, limits, sample, tree ? "processes" : "cgroup"));
}

std::string cgroup_json(const py::str& root, const py::object& wanted,
                        const std::optional<std::vector<py::str>>& environment, bool processes) {
  const std::string root_path = os_bytes(root);
  const Which which = which_of(wanted);
  std::optional<std::vector<std::string>> entries;
  if (environment) {
    entries.emplace();
    for (const py::str& each : *environment) entries->push_back(os_bytes(each));
  }
  Result<std::string> text = [&] {
    const py::gil_scoped_release release;
    return describe(root_path, which, entries, processes);
  }();
  return value_or_raise(std::move(text));
}

// What few rows have beside them, by the number of the row; None where none has.
py::object devices_of(const std::vector<std::vector<cgroup::IoDevice>>& devices) {
  py::object found = py::none();
  for (std::size_t i = 0; i < devices.size(); ++i) {
    for (const cgroup::IoDevice& each : devices[i]) {
      if (found.is_none()) found = py::list();
      const std::string name = std::to_string(each.major) + ":" + std::to_string(each.minor);
      py::reinterpret_borrow<py::list>(found).append(
          py::make_tuple(i, name, each.read_bytes, each.write_bytes, each.reads, each.writes));
    }
  }
  return found;
}

py::object errors_of(const std::vector<std::optional<Error>>& errors) {
  py::object found = py::none();
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if (!errors[i]) continue;
    if (found.is_none()) found = py::list();
    py::reinterpret_borrow<py::list>(found).append(py::make_tuple(i, exception_of(*errors[i])));
  }
  return found;
}

// A Sampler of cgroups and process trees with the root that it reads. It is not moved: the Sampler points into it.
class LiveCgroups {
 public:
  explicit LiveCgroups(HostFs fs) : fs_(std::move(fs)) {}

  std::string add(const py::object& wanted) {
    const Group group = value_or_raise(find_group(fs_, which_of(wanted)));
    sampler_.add(fs_, group);
    return group.path();
  }
  void add_processes(pid_t root) { trees_.push_back(root); }

  // Rows as plain bytes, the cgroups' before the trees': an object of ours would cost as much as the sample of a cgroup.
  py::tuple sample() {
    const cgroup::Sample* now = nullptr;
    cgroup::Sample with_trees;
    {
      const py::gil_scoped_release release;
      now = &sampler_.sample();
      if (!trees_.empty()) {
        with_trees = *now;
        add_trees(with_trees);
        now = &with_trees;
      }
    }
    const py::bytes rows(reinterpret_cast<const char*>(now->rows.data()),
                         now->rows.size() * sizeof(Usage));
    return py::make_tuple(rows, devices_of(now->devices), errors_of(now->errors));
  }
  std::size_t descriptors() const { return sampler_.descriptors(); }

 private:
  void add_trees(cgroup::Sample& sample) const {
    for (const pid_t root : trees_) {
      OneSample tree = cgroup::sample_processes(fs_, root);
      sample.rows.push_back(tree.usage);
      sample.devices.push_back(std::move(tree.devices));
      sample.errors.push_back(std::move(tree.error));
    }
  }

  HostFs fs_;
  cgroup::Sampler sampler_;
  std::vector<pid_t> trees_;
};

// Name, numpy's type, offset, and for an accounted number its bit in `known` and its kind.
py::list usage_columns() {
  py::list rows;
  rows.append(py::make_tuple("taken_at_usec", "<i8", offsetof(Usage, taken_at), -1, "time"));
  rows.append(py::make_tuple("identity", "<u8", offsetof(Usage, identity), -1, "identity"));
  rows.append(py::make_tuple("known", "<u8", offsetof(Usage, known), -1, "bits"));
  const auto& fields = cgroup::usage_fields();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const bool is_percent = fields[i].kind == cgroup::FieldKind::percent;
    const char* kind = is_percent                                     ? "percent"
                       : fields[i].kind == cgroup::FieldKind::counter ? "counter"
                                                                      : "gauge";
    rows.append(py::make_tuple(fields[i].column, is_percent ? "<f8" : "<u8",
                               offsetof(Usage, values) + i * sizeof(std::uint64_t), i, kind));
  }
  return rows;
}

}  // namespace

void bind_cgroup(py::module_& module) {
  py::class_<LiveCgroups>(module, "CgroupSampler")
      .def(py::init([](const py::str& root) {
             return std::make_unique<LiveCgroups>(value_or_raise(HostFs::open(os_bytes(root))));
           }),
           py::arg("root"))
      .def("add",
           [](LiveCgroups& self, const py::object& wanted) { return os_text(self.add(wanted)); })
      .def("add_processes", &LiveCgroups::add_processes)
      .def("sample", &LiveCgroups::sample)
      .def_property_readonly("descriptors", &LiveCgroups::descriptors);
  module.def("cgroup_json", &cgroup_json, py::arg("root"), py::arg("wanted"),
             py::arg("environment"), py::arg("processes"));
  module.def("usage_columns", &usage_columns);
  module.attr("usage_row_bytes") = sizeof(Usage);
}

}  // namespace gpuctl::bindings
