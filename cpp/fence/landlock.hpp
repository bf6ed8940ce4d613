// Landlock rulesets that allow everything but some nodes. Runs in the child, before its exec.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::fence::internal {

// A ruleset that refuses to open `refused` and whatever appears beside them later, and allows all else. Landlock knows no
// "all but": so every directory above a refused node is listed, and each of its other entries is allowed with all below.
Result<Fd> make_ruleset(const std::vector<std::string>& refused, bool scope_signals);

// Binds the calling thread, and all that it will start, to the ruleset. Needs no_new_privs or CAP_SYS_ADMIN.
Result<void> enter_ruleset(const Fd& ruleset);

}  // namespace gpuctl::fence::internal
