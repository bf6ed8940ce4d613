#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/proc/identity.hpp"
#include "gpuctl/proc/json.hpp"
#include "gpuctl/proc/snapshot.hpp"
#include "gpuctl/proc/tree.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

using proc::Snapshot;
using proc::SnapshotOptions;

SnapshotOptions options_of(bool cgroup, bool pss, bool io, const py::str& marker,
                           std::optional<std::uint32_t> uid) {
  return {cgroup, pss, io, os_bytes(marker), uid};
}

std::unique_ptr<Snapshot> own(Result<Snapshot> snapshot) {
  return std::make_unique<Snapshot>(value_or_raise(std::move(snapshot)));
}

std::unique_ptr<Snapshot> take_snapshot(const py::str& root, bool cgroup, bool pss, bool io,
                                        const py::str& marker, std::optional<std::uint32_t> uid) {
  const std::string root_path = os_bytes(root);
  const SnapshotOptions options = options_of(cgroup, pss, io, marker, uid);
  return own([&]() -> Result<Snapshot> {
    const py::gil_scoped_release release;
    const Result<HostFs> fs = HostFs::open(root_path);
    if (!fs) return fail(fs.error());
    return proc::take_snapshot(*fs, options);
  }());
}

// The rows where they lie, as bytes: numpy.frombuffer() keeps the snapshot alive.
py::buffer_info rows_of(Snapshot& snapshot) {
  const auto bytes = static_cast<py::ssize_t>(snapshot.rows.size() * sizeof(proc::Row));
  return {snapshot.rows.data(), 1,   py::format_descriptor<std::uint8_t>::format(), 1, {bytes},
          {py::ssize_t{1}},     true};
}

py::list texts(const std::vector<std::string>& all) {
  py::list list;
  for (const std::string& each : all) list.append(os_text(each));
  return list;
}

py::list snapshot_columns() {
  py::list rows;
  for (const proc::ColumnLayout& each : proc::snapshot_columns())
    rows.append(py::make_tuple(each.name, each.type, each.offset));
  return rows;
}

// A Sampler with the root that it reads.
class LiveSampler {
 public:
  LiveSampler(HostFs fs, SnapshotOptions options, std::size_t max_descriptors)
      : fs_(std::move(fs)),
        sampler_(value_or_raise(proc::Sampler::open(fs_, std::move(options), max_descriptors))) {}

  std::unique_ptr<Snapshot> sample() {
    return own([&] {
      const py::gil_scoped_release release;
      return sampler_.sample();
    }());
  }
  std::size_t descriptors() const { return sampler_.descriptors(); }

 private:
  HostFs fs_;
  proc::Sampler sampler_;
};

std::unique_ptr<LiveSampler> open_sampler(const py::str& root, bool cgroup, bool pss, bool io,
                                          const py::str& marker, std::optional<std::uint32_t> uid,
                                          std::optional<std::size_t> max_descriptors) {
  return std::make_unique<LiveSampler>(value_or_raise(HostFs::open(os_bytes(root))),
                                       options_of(cgroup, pss, io, marker, uid),
                                       max_descriptors.value_or(proc::default_descriptor_budget()));
}

// Nobody there is an empty tree, as with the command.
Result<proc::Tree> empty_if_absent(Result<proc::Tree> tree) {
  if (tree) return tree;
  const ErrorCode code = tree.error().code;
  if (code == ErrorCode::not_found || code == ErrorCode::vanished) return proc::Tree();
  return tree;
}

Result<std::string> tree_text(const std::string& root, std::optional<pid_t> pid,
                              const std::string& cgroup) {
  const Result<HostFs> fs = HostFs::open(root);
  if (!fs) return fail(fs.error());
  const Result<proc::Tree> tree =
      empty_if_absent(pid ? proc::tree_of_process(*fs, *pid) : proc::tree_of_cgroup(*fs, cgroup));
  if (!tree) return fail(tree.error());
  return to_line(pid ? proc::to_json(*tree, "pid", std::to_string(*pid))
                     : proc::to_json(*tree, "cgroup", cgroup));
}

std::string tree_json(const py::str& root, std::optional<pid_t> pid,
                      const std::optional<py::str>& cgroup) {
  const std::string root_path = os_bytes(root);
  const std::string path = cgroup ? os_bytes(*cgroup) : std::string();
  Result<std::string> text = [&] {
    const py::gil_scoped_release release;
    return tree_text(root_path, pid, path);
  }();
  return value_or_raise(std::move(text));
}

Result<proc::Identity> identify(const std::string& root, pid_t pid) {
  const Result<HostFs> fs = HostFs::open(root);
  if (!fs) return fail(fs.error());
  const Result<proc::Here> here = proc::read_here(*fs);
  if (!here) return fail(here.error());
  return proc::identify(*fs, *here, pid);
}

py::dict identity_of(const py::str& root, pid_t pid) {
  const std::string root_path = os_bytes(root);
  const proc::Identity found = value_or_raise([&] {
    const py::gil_scoped_release release;
    return identify(root_path, pid);
  }());
  py::dict row;
  row["boot_id"] = found.boot_id;
  row["pid_namespace"] = found.pid_namespace;
  row["pid"] = found.pid;
  row["start_ticks"] = found.start_ticks;
  row["pidfs_inode"] = found.pidfs_inode;
  return row;
}

std::string judge(const py::str& root, const std::string& boot_id, std::uint64_t pid_namespace,
                  pid_t pid, std::uint64_t start_ticks, std::optional<std::uint64_t> pidfs_inode) {
  const HostFs fs = value_or_raise(HostFs::open(os_bytes(root)));
  const py::gil_scoped_release release;
  switch (proc::judge(fs, {boot_id, pid_namespace, pid, start_ticks, pidfs_inode})) {
    case proc::Liveness::alive: return "alive";
    case proc::Liveness::dead: return "dead";
    case proc::Liveness::unknown: break;
  }
  return "unknown";
}

}  // namespace

void bind_proc(py::module_& module) {
  py::class_<Snapshot>(module, "Snapshot", py::buffer_protocol())
      .def_buffer(&rows_of)
      .def("__len__", [](const Snapshot& self) { return self.rows.size(); })
      .def_property_readonly("cgroups", [](const Snapshot& self) { return texts(self.cgroups); })
      .def_property_readonly("markers", [](const Snapshot& self) { return texts(self.markers); })
      .def_readonly("taken_at_usec", &Snapshot::taken_at)
      .def_readonly("unreadable", &Snapshot::unreadable);
  py::class_<LiveSampler>(module, "Sampler")
      .def("sample", &LiveSampler::sample)
      .def_property_readonly("descriptors", &LiveSampler::descriptors);
  module.def("take_snapshot", &take_snapshot, py::arg("root"), py::arg("cgroup"), py::arg("pss"),
             py::arg("io"), py::arg("marker"), py::arg("uid"));
  module.def("open_sampler", &open_sampler, py::arg("root"), py::arg("cgroup"), py::arg("pss"),
             py::arg("io"), py::arg("marker"), py::arg("uid"), py::arg("max_descriptors"));
  module.def("snapshot_columns", &snapshot_columns);
  module.attr("snapshot_row_bytes") = sizeof(proc::Row);
  module.def("tree_json", &tree_json, py::arg("root"), py::arg("pid"), py::arg("cgroup"));
  module.def("identify", &identity_of, py::arg("root"), py::arg("pid"));
  module.def("judge", &judge, py::arg("root"), py::arg("boot_id"), py::arg("pid_namespace"),
             py::arg("pid"), py::arg("start_ticks"), py::arg("pidfs_inode"));
}

}  // namespace gpuctl::bindings
