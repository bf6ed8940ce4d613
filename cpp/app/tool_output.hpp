// Running a vendor's tool for what it prints: in a child of its own, with a deadline, and killed when that passes.
//
// A tool that hangs in the kernel cannot be reaped: it is left behind after a second, and the answer says so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gpuctl::app {

struct ToolOutput {
  bool found = false;  // false: no such program on PATH, and the rest says nothing
  bool timed_out = false;
  bool cut = false;                // it printed more than is kept
  std::optional<int> exit_status;  // nullopt: a signal ended it
  std::string text;                // stdout and stderr together: errors come on either
};

// `argv[0]` is looked up on PATH.
ToolOutput run_tool(const std::vector<std::string>& argv, std::int64_t deadline_usec);

}  // namespace gpuctl::app
