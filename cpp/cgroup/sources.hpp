// The sources of limits, one function each; what they find is appended to `limits`.
#pragma once

#include "gpuctl/cgroup/limits.hpp"

namespace gpuctl::cgroup::internal {

void add_cgroup_limits(const HostFs& fs, const Group& group, Limits& limits);
void add_v1_limits(const HostFs& fs, const Group& group, Limits& limits);
void add_ulimits(const HostFs& fs, pid_t pid, Limits& limits);
void add_condor_limits(const HostFs& fs, const SlotEnv& env, Limits& limits);
void add_slurm_limits(const SlotEnv& env, Limits& limits);
void add_machine_limits(const HostFs& fs, Limits& limits);

}  // namespace gpuctl::cgroup::internal
