// Steps: the points between which a crash or another process may come. TEST-ONLY: a test sets a function that is called at
// each of them, stops there, is killed there. In a program nobody sets it, and a step is one comparison.
#pragma once

namespace gpuctl::lease::internal {

using StepHook = void (*)(const char* point);

inline StepHook step_hook = nullptr;

inline void step(const char* point) {
  if (step_hook != nullptr) step_hook(point);
}

}  // namespace gpuctl::lease::internal
