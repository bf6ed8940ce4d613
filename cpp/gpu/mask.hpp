// Mask: one variable of the slot, resolved against the GPUs of this node.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "candidate.hpp"

namespace gpuctl::gpu::internal {

struct Mask {
  std::string said;                 // "CUDA_VISIBLE_DEVICES=0,1", for people
  std::vector<std::size_t> chosen;  // candidates, in the mask's own order
  std::set<std::size_t> in_part;    // of these, those that it gives only a part of
  std::string unresolved;           // why not all that it says is known; empty: it is
};

// "NAME=value" without control characters, and not longer than a line.
std::string said(const char* name, const std::string& value);

// The entries between commas, trimmed. An empty text has none.
std::vector<std::string_view> entries_of(std::string_view text);

std::optional<std::size_t> index_of(std::string_view entry);

// Candidates whose UUID (NVIDIA) or unique id (AMD) is, or begins with, "GPU-…". Without letter case.
std::vector<std::size_t> with_uuid(const std::vector<Candidate>& candidates, std::uint16_t vendor,
                                   std::string_view entry);

// "MIG-GPU-<uuid>/<gi>/<ci>": the partition.
std::optional<std::size_t> mig_by_instance(const std::vector<Candidate>& candidates,
                                           std::string_view entry);

// Whether some GPU of the vendor does not tell its UUID, so that an entry that fits none may still be one of them.
bool lacks_uuid(const std::vector<Candidate>& candidates, std::uint16_t vendor);

}  // namespace gpuctl::gpu::internal
