// The tries behind probe.hpp: each does the thing itself, in the process that calls it, and leaves it changed.
#pragma once

#include <string>
#include <vector>

namespace gpuctl::fence::internal {

struct Tried {
  bool works = false;
  int errno_value = 0;
  std::string detail;
};

struct Try {
  const char* name;
  const char* what;
  Tried (*run)();
};

// Strongest first, as the ladder has them.
const std::vector<Try>& kernel_tries();

// Runs it in a child that has `timeout_ms`; what it says comes back by a pipe.
Tried run_apart(Tried (*run)(), int timeout_ms);

}  // namespace gpuctl::fence::internal
