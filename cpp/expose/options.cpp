#include "gpuctl/expose/options.hpp"

namespace gpuctl::expose {
namespace {

// Settings of Apptainer, and of Singularity before it, that bind all devices of a vendor.
constexpr const char* kBindsAll[] = {"NV", "NVCCLI", "ROCM"};
constexpr const char* kPrefixes[] = {"APPTAINER", "SINGULARITY"};

// The NVIDIA hook of a container runtime acts on this variable, which many images set to `all`.
constexpr const char* kNvidiaHook = "NVIDIA_VISIBLE_DEVICES";
constexpr const char* kNvidiaHookOff = "void";

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

void forget(Options& options, const std::string& name) {
  options.unset.push_back(name);
  for (const char* prefix : kPrefixes) options.unset.push_back(std::string(prefix) + "ENV_" + name);
}

// Set inside, and for a container that inherits the environment of its caller, which is one without -C.
void tell_apptainer(Options& options, const std::string& name, const std::string& value) {
  options.environment.emplace_back("APPTAINERENV_" + name, value);
  if (name != "LD_LIBRARY_PATH") options.environment.emplace_back(name, value);
}

Json variables_json(const fence::Variables& variables) {
  Json object = Json::object();
  for (const auto& [name, value] : variables) object[name] = value;
  return object;
}

Json mounts_json(const std::vector<Mount>& mounts) {
  Json list = Json::array();
  for (const Mount& each : mounts)
    list.push_back({{"path", each.target}, {"host_path", each.source}});
  return list;
}

}  // namespace

Options apptainer_options(const Exposure& exposure) {
  Options options;
  for (const char* prefix : kPrefixes) {
    for (const char* name : kBindsAll) options.unset.push_back(std::string(prefix) + "_" + name);
  }
  options.argv = {"--no-nv", "--no-rocm"};  // a site may have made them the default
  for (const Mount& node : exposure.nodes) {
    options.argv.emplace_back("--bind");
    options.argv.push_back(node.source + ":" + node.target);
  }
  for (const Mount& file : exposure.files) {
    options.argv.emplace_back("--bind");
    options.argv.push_back(file.source + ":" + file.target + ":ro");
  }
  for (const auto& [name, value] : exposure.variables) {
    if (value.empty()) {
      forget(options, name);
    } else {
      tell_apptainer(options, name, value);
    }
  }
  return options;
}

Options podman_options(const Exposure& exposure) {
  Options options;
  for (const Mount& node : exposure.nodes)
    options.argv.push_back("--device=" + node.source + ":" + node.target + ":rw");
  if (exposure.by_group) options.argv.emplace_back("--group-add=keep-groups");
  // container_t may not open them; to relabel what is the host's (`:z`) would be worse
  if (exposure.selinux) options.argv.emplace_back("--security-opt=label=disable");
  for (const Mount& file : exposure.files)
    options.argv.push_back("--volume=" + file.source + ":" + file.target + ":ro");
  for (const auto& [name, value] : exposure.variables) {
    if (name == kNvidiaHook) {
      options.argv.push_back(std::string("--env=") + kNvidiaHook + "=" + kNvidiaHookOff);
    } else if (!value.empty()) {
      options.argv.push_back("--env=" + name + "=" + value);
    }
  }
  return options;
}

Options env_options(const Exposure& exposure) {
  Options options;
  for (const auto& [name, value] : exposure.variables) {
    if (name == "LD_LIBRARY_PATH" || name == "GPUCTL_LEASE_FILE") continue;
    if (value.empty()) {
      options.unset.push_back(name);
    } else {
      options.environment.emplace_back(name, value);
    }
  }
  for (const Mount& file : exposure.files) {
    if (file.target == kLeaseFileInside)
      options.environment.emplace_back("GPUCTL_LEASE_FILE", file.source);
  }
  return options;
}

Json to_json(const std::string& format, const Exposure& exposure, const Options& options) {
  return {{"schema", "gpuctl.export/1"},
          {"format", format},
          {"lease_id", json_or_null(exposure.lease_id)},
          {"gpus", exposure.gpu_ids},
          {"argv", options.argv},
          {"environment", variables_json(options.environment)},
          {"unset", options.unset},
          {"devices", mounts_json(exposure.nodes)},
          {"files", mounts_json(exposure.files)},
          {"problems", exposure.problems}};
}

std::string to_shell(const Options& options) {
  std::string text;
  if (!options.unset.empty()) {
    text += "unset";
    for (const std::string& name : options.unset) text += " " + name;
    text += "\n";
  }
  for (const auto& [name, value] : options.environment)
    text += "export " + name + "=" + quoted(value) + "\n";
  if (options.argv.empty()) return text;
  text += "set --";
  for (const std::string& word : options.argv) text += " " + quoted(word);
  return text + "\n";
}

}  // namespace gpuctl::expose
