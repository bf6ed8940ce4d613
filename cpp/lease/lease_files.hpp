// What a payload may read of its lease: STATE/leases/UID/ID/NAME.json, 0444. It goes with the lease.
#pragma once

#include <string>
#include <vector>

#include "core.hpp"

namespace gpuctl::lease::internal {

// Of a lease that is over: all of its files.
void remove_lease_files(const Core& core, const Lease& lease);

}  // namespace gpuctl::lease::internal
