// The job's memory where no cgroup of its own limits it: measured by gpuctl, as its processes share it (PSS).
#pragma once

#include <cstdint>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/proc/stat.hpp"

namespace gpuctl::job {

// Resident memory of all, shared pages counted for each: never less than what they really use. Costs nothing.
std::uint64_t resident_bytes(const std::vector<proc::Stat>& members);

// PSS and swapped PSS of all (smaps_rollup of proc_pid_smaps(5)); one whose file may not be read counts with its
// resident memory. Costs a walk through each process's mappings.
std::uint64_t proportional_bytes(const HostFs& fs, const std::vector<proc::Stat>& members);

}  // namespace gpuctl::job
