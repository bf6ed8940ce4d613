// Putting a report where its reader waits for it.
#pragma once

#include <string>

#include "gpuctl/base/result.hpp"

namespace gpuctl::job {

// Replaces the file at `path`, or where that links to, in one step; a pipe or a device is written to, and so is a file
// that is our stdout or stderr.
Result<void> write_report_file(const std::string& path, const std::string& text);

std::string hostname();

}  // namespace gpuctl::job
