// Leaving: where the slot has no room for the job's own cgroup, systemd is asked for a scope that holds the supervisor, and
// what the slot limits is imposed on it again. A tether stays behind, whose end is the job's.
#pragma once

#include "run.hpp"

namespace gpuctl::job {

// The place below the scope that the supervisor is in now, with run.tether made; or why it stays where it is.
Result<cgroup::Place> find_place_in_scope(Run& run);

}  // namespace gpuctl::job
