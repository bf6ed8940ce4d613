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
  std::string name;  // alien-job-ID
  std::string
      made_as;  // its name until it is recorded; bears the job's nonce, so that it can only be ours
  FileId id;
  Fd fd;

  std::string path() const { return parent + "/" + name; }
};

// Nothing is made yet: the names are recorded first, so that a crash at any moment leaves nothing that nobody knows.
Workdir plan_workdir(const std::string& parent, const std::string& job_id,
                     const std::string& nonce);

// Makes the directory, mode 0700, under its first name, and fills in `id` and `fd`.
Result<void> make_workdir(Workdir& workdir);

// Gives it its lasting name, which must not be there yet.
Result<void> publish_workdir(const Workdir& workdir);

// Copies the plain files `inputs` into it, each under its own last name.
Result<void> bring_inputs(const Workdir& workdir, const std::vector<std::string>& inputs);

// Copies files whose path in the work directory matches one of `patterns` (fnmatch(3), `*` also over "/") to
// `output_dir`, which is made when it is missing. What cannot be copied is told in `problems`.
std::vector<std::string> keep_outputs(const Workdir& workdir,
                                      const std::vector<std::string>& patterns,
                                      const std::string& output_dir,
                                      std::vector<std::string>& problems);

// ErrorCode::not_found when it is there under neither name. Without an id (a crash before it was recorded) only an
// empty directory of the first name is removed.
Result<void> remove_workdir(const std::string& parent, const std::string& name,
                            const std::string& made_as, const FileId& id);

}  // namespace gpuctl::job
