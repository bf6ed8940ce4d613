// Descriptors that we inherited, and that whoever we become must not have.
#pragma once

namespace gpuctl {

// Every one but 0, 1 and 2 (close_range(2), 5.11; else one by one).
void close_on_exec_all();

}  // namespace gpuctl
