// The job's work directory: `alien-job-ID`, made below a parent that the caller names, filled with its input,
// emptied of its output, and removed. It is removed only while it is the directory that was made (device, inode).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/tree.hpp"

namespace gpuctl::job {

struct Workdir {
  std::string parent;
  std::string name;
  FileId id;
  Fd fd;

  std::string path() const { return parent + "/" + name; }
};

// The directory must not be there yet; mode 0700.
Result<Workdir> make_workdir(const std::string& parent, const std::string& job_id);

// Copies the plain files `inputs` into it, each under its own last name.
Result<void> bring_inputs(const Workdir& workdir, const std::vector<std::string>& inputs);

// Copies files whose path in the work directory matches one of `patterns` (fnmatch(3), `*` also over "/") to
// `output_dir`, which is made when it is missing. What cannot be copied is told in `problems`.
std::vector<std::string> keep_outputs(const Workdir& workdir, const std::vector<std::string>& patterns,
                                      const std::string& output_dir, std::vector<std::string>& problems);

Result<void> remove_workdir(const std::string& parent, const std::string& name, const FileId& id);

}  // namespace gpuctl::job
