// A supervisor must have no children but the payload's: every process below it is the job's and is ended with it.
// `sh -c 'helper & exec gpuctl run …'` hands it a stranger as a child; then the supervisor is a fresh process, and
// this one only passes signals on and takes over the exit code.
#pragma once

#include <optional>

namespace gpuctl::job {

bool has_children();

// In the fresh process: nullopt, go on. In the old one: the fresh one's exit code, once it is over.
// `die_with_parent`: the death of our caller is passed on as TERM.
std::optional<int> relay_to_fresh_process(bool die_with_parent);

}  // namespace gpuctl::job
