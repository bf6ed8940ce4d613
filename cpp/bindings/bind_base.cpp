#include <pybind11/stl.h>
#include <unistd.h>

#include <map>
#include <optional>
#include <string>

#include "bindings.hpp"
#include "errors.hpp"
#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/config.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/state_place.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

// The environment as the process has it now, once per call: os.environ writes through to it.
std::map<std::string, std::string> gpuctl_variables() {
  std::map<std::string, std::string> found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::size_t equals = text.find('=');
    if (text.compare(0, 7, "GPUCTL_") == 0 && equals != std::string::npos) {
      found[text.substr(0, equals)] = text.substr(equals + 1);
    }
  }
  return found;
}

ConfigSources sources_with(std::map<std::string, std::string> flags) {
  ConfigSources sources;
  sources.system_file = host_paths::kLiveSystemConfig;
  sources.environment = gpuctl_variables();
  const auto user_file = sources.environment.find("GPUCTL_CONFIG");
  if (user_file != sources.environment.end()) sources.user_file = user_file->second;
  sources.flags = std::move(flags);
  return sources;
}

std::map<std::string, std::string> as_map(const py::dict& flags) {
  std::map<std::string, std::string> values;
  for (const auto& [name, value] : flags)
    values[os_bytes(py::cast<py::str>(name))] = os_bytes(py::cast<py::str>(value));
  return values;
}

py::object text_or_none(const std::optional<std::string>& bytes) {
  return bytes ? py::object(os_text(*bytes)) : py::object(py::none());
}

py::list load_config(const py::dict& flags) {
  const ConfigSources sources =
      sources_with(as_map(flags));  // with the GIL: nobody else may setenv(3) meanwhile
  Result<Config> config = [&] {
    const py::gil_scoped_release release;
    return Config::load(sources);
  }();
  const Config loaded = value_or_raise(std::move(config));
  py::list settings;
  for (const ConfigKey& key : config_keys()) {
    const ConfigValue& value = loaded.value(key.key);
    py::dict setting;
    setting["key"] = key.key;
    setting["value"] = text_or_none(value.text);
    setting["origin"] = os_text(value.origin);
    setting["enforced_by"] = text_or_none(value.enforced_by);
    setting["usec"] =
        key.kind == ConfigKind::duration ? py::cast(loaded.duration_usec(key.key)) : py::none();
    settings.append(setting);
  }
  return settings;
}

// nullopt where it cannot be read.
std::optional<std::string> boot_id() {
  const py::gil_scoped_release release;
  const Result<HostFs> fs = HostFs::open("/");
  if (!fs) return std::nullopt;
  const Result<std::string> text = fs->read_file(host_paths::kBootId);
  if (!text) return std::nullopt;
  return std::string(trim(*text));
}

// Its path.
py::str make_state_dir(const std::optional<py::str>& state_dir) {
  const std::optional<std::string> given = bytes_or_nothing(state_dir);
  const Result<Fd> state = [&] {
    const py::gil_scoped_release release;
    return open_state(given);
  }();
  if (!state) raise(state.error());
  return os_text(state_place(given));
}

}  // namespace

void bind_base(py::module_& module) {
  module.def("load_config", &load_config, py::arg("flags"));
  module.def(
      "parse_job_id",
      [](const py::str& text) { return value_or_raise(parse_job_id(os_bytes(text))); },
      py::arg("text"));
  module.def(
      "parse_duration_usec",
      [](const py::str& text, const std::string& what) {
        return value_or_raise(parse_duration_usec(os_bytes(text), what));
      },
      py::arg("text"), py::arg("what"));
  module.def("boot_id", &boot_id);
  module.def("make_state_dir", &make_state_dir, py::arg("state_dir"));
  module.def("trace_stamp", &format_trace_stamp, py::arg("realtime_usec"));
  module.def("rfc3339", &format_rfc3339, py::arg("realtime_usec"));
  module.def("duration_text", &format_duration, py::arg("usec"));
}

}  // namespace gpuctl::bindings
