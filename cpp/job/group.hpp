// The job's own cgroup, in the life of one job: planned before the first record, made before the payload, read and
// removed after its end. Without one the job goes on without, and the report says why.
#pragma once

#include "gpuctl/cgroup/sampler.hpp"
#include "run.hpp"

namespace gpuctl::job {

// Finds the place and puts it on record (in memory); nothing is made.
void plan_group(Run& run);

// Makes it with the job's limits, and takes the counters of memory kills as they are now.
void make_group(Run& run);

// It cannot be used after all: removes it and says why.
void drop_group(Run& run, const std::string& why);

// What it uses now; nullopt: the job has none.
std::optional<cgroup::OneSample> sample_group(const Run& run);

// Its counters into the report, while it still has them.
void read_group(Run& run);

// Was it the kernel's memory killer? Fills report.oom; true when that ended the job.
bool judge_memory_kill(Run& run);

void remove_group(Run& run);

}  // namespace gpuctl::job
