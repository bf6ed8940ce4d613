// The checks of `gpuctl doctor`: each looks at one thing that jobs on this node need, and says what to do about it.
#pragma once

#include <string>
#include <vector>

#include "gpuctl/fence/probe.hpp"
#include "verbs.hpp"

namespace gpuctl::app {

enum class CheckStatus { pass, warn, fail, skip };

const char* name_of(CheckStatus status);

struct Check {
  std::string id;  // "cgroup.delegation": stable
  CheckStatus status = CheckStatus::skip;
  std::string detail;  // what was found
  std::string remedy;  // one line for an administrator; empty where there is nothing to do
};

// The rungs that a job would get now.
struct ChosenFence {
  std::string process;
  std::string device;
};
ChosenFence choose_fence(const fence::Capabilities& capabilities);

// All of them, in the order in which a person wants to read them.
std::vector<Check> run_checks(const Context& context, const HostFs& live,
                              const fence::Capabilities& capabilities);

std::vector<Check> fence_checks(const Context& context, const fence::Capabilities& capabilities);
std::vector<Check> container_checks(const fence::Capabilities& capabilities);
std::vector<Check> gpu_checks(const Context& context);
std::vector<Check> cgroup_checks(const Context& context, const HostFs& live);
std::vector<Check> state_checks(const Context& context);

}  // namespace gpuctl::app
