// What `gpuctl cgroup` shows to people.
#pragma once

#include <string>

#include "gpuctl/cgroup/limits.hpp"
#include "gpuctl/cgroup/sampler.hpp"

namespace gpuctl::app {

std::string cgroup_text(const cgroup::Group& group, const cgroup::Limits& limits,
                        const cgroup::OneSample& sample, const char* source, bool verbose);

// A watch: the head of its columns, and a line for what happened between two samples.
std::string watch_head();
std::string watch_line(const cgroup::Usage& before, const cgroup::Usage& now);

}  // namespace gpuctl::app
