// The processes of a job on record, found by all its traces: the supervisor's and init's descendants, the pid namespace,
// and the nonce in their environment for those who left the tree.
#pragma once

#include <sys/types.h>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/proc/tree.hpp"

namespace gpuctl::job {

// `job_dir_fd`: the job's directory, of the user `owner`. An empty tree: nothing of it is left that could be found.
// ErrorCode::unavailable where its processes cannot be judged from here (another pid namespace), malformed or others
// when the records cannot be read.
Result<proc::Tree> tree_of_job(const HostFs& fs, int job_dir_fd, uid_t owner);

}  // namespace gpuctl::job
