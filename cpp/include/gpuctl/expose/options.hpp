// The same exposure as a container runtime wants to hear it: options of its command line and variables of its environment.
//
//   apptainer: options of `apptainer exec -C`; never --nv or --rocm, which bind every device of the vendor. Variables for the
//              inside travel as APPTAINERENV_NAME: `--env` cuts its value at commas, and a mask is a list with commas.
//   podman:    options of `podman run`; they hold the variables too.
//   env:       no options: the environment of a process without a container.
//
// `environment` is to be set for the process that is started, `unset` to be removed from what it inherits.
#pragma once

#include <string>
#include <vector>

#include "gpuctl/base/json.hpp"
#include "gpuctl/expose/exposure.hpp"

namespace gpuctl::expose {

struct Options {
  std::vector<std::string> argv;
  fence::Variables environment;
  std::vector<std::string> unset;
};

Options apptainer_options(const Exposure& exposure);
Options podman_options(const Exposure& exposure);
Options env_options(const Exposure& exposure);

// schema "gpuctl.export/1", docs/schema/export.json
Json to_json(const std::string& format, const Exposure& exposure, const Options& options);

// For `eval` in a POSIX shell: unset, export, and the options as its positional parameters.
std::string to_shell(const Options& options);

}  // namespace gpuctl::expose
