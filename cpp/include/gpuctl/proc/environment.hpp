// The environment that a process was started with, as /proc/PID/environ has it.
#pragma once

#include <sys/types.h>

#include <string>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::proc {

// Does it hold the entry `NAME=value`? A process whose first thread has ended shows it through the others only. False for
// what may not be read, and for one who wrote over it.
bool environment_has(const HostFs& fs, pid_t pid, const std::string& entry);

}  // namespace gpuctl::proc
