// Putting a report where its reader waits for it.
#pragma once

#include <string>

#include "gpuctl/base/result.hpp"

namespace gpuctl::job {

// Replaces the file at `path` in one step; a pipe or a device is written to.
Result<void> write_report_file(const std::string& path, const std::string& text);

std::string hostname();

}  // namespace gpuctl::job
