// Who may drain, and saying it.
#pragma once

#include "core.hpp"

namespace gpuctl::lease::internal {

// Root, the state directory's owner, or anybody who may write in it where it belongs to a group.
bool may_drain(const Core& core, uid_t uid);

std::optional<uid_t> drains_owner(const std::string& name);  // of a file's name

// Writes our word, as the latest.
Result<void> say(Core& core, Drain drain);

}  // namespace gpuctl::lease::internal
