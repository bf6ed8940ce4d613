// Reading the attribute files of one device: absent is an empty optional, unreadable or malformed
// is a problem.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/problem.hpp"

namespace gpuctl::gpu::internal {

// The text, trimmed; empty files are absent.
std::optional<std::string> read_text(const Dir& dir, const char* name, ProblemSink& problems);

// "0x10de" of at most `max`; an empty file is malformed.
std::optional<std::uint64_t> read_hex(const Dir& dir, const char* name, std::uint64_t max,
                                      ProblemSink& problems);

std::optional<std::uint64_t> read_unsigned(const Dir& dir, const char* name, ProblemSink& problems);

std::optional<std::int64_t> read_signed(const Dir& dir, const char* name, ProblemSink& problems);

}  // namespace gpuctl::gpu::internal
