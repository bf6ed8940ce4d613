// The job's GPUs: taken through the ledger before its payload is made, given back when it is proven gone.
#pragma once

#include "run.hpp"

namespace gpuctl::job {

// True where no GPU is wanted. Waits for its turn, and listens to signals and the control socket meanwhile.
bool take_gpus(Run& run);

// Where the payload lives goes into the lease, so that others can prove its end.
Result<void> note_payload(Run& run, const lease::Payload& payload);

// After the work directory is gone, before the report. What keeps the units is named in it.
void release_gpus(Run& run);

// What a dead supervisor had: nullopt when there was none, or it is free now; else why not.
std::optional<std::string> release_gpus_of(const JobDir& directory, const JobRecord& job);

}  // namespace gpuctl::job
