// The fence of one job: what is asked of fence::spawn(), and whether what came of it is what the site demands.
#pragma once

#include "gpuctl/fence/spawn.hpp"
#include "run.hpp"

namespace gpuctl::job {

void want_fence(Run& run, fence::SpawnRequest& request);

// Into the report.
void note_fence(Run& run);

//   strict    every job needs a device fence that the kernel enforces, and that was proven
//   best      a job with GPUs needs one that was proven; others run behind the best there is. In a container
//             it is proven inside, by the entry program, which fails closed: the command line must name it with this level
//   advisory  masks will do
// False: the job never starts, and the report says why.
bool fence_is_enough(Run& run);

}  // namespace gpuctl::job
