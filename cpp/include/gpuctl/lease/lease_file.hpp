// The lease file: what whoever computes on a lease may read of it (docs/schema/lease-file.json), named by GPUCTL_LEASE_FILE.
//
// Ledger::publish() writes it, `gpuctl export` and `gpuctl run` hand it on, read-only, into containers too. There the ledger
// itself is out of sight, and a `gpuctl run --lease ID` inside believes this file:
//
//   Result<Lease> lease = read_lease_file(path);     // its id and its units; the rest is unknown
//
// It proves nothing: it is the agent's word. What keeps a payload off other GPUs is the fence around it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/gpu/gpu.hpp"
#include "gpuctl/lease/lease.hpp"

namespace gpuctl::lease {

inline constexpr const char* kLeaseFileVariable = "GPUCTL_LEASE_FILE";
inline constexpr const char* kWholeLease = "lease";  // for publish(): all GPUs of it

// ErrorCode::malformed for what is no lease file; that of opening it.
Result<Lease> read_lease_file(const std::string& path);

// Writes NAME.json (0444) in a directory whose owner takes it away: its absolute path.
Result<std::string> write_lease_file(const Fd& dir, const std::string& name,
                                     const std::optional<std::string>& lease_id,
                                     const std::vector<gpu::Gpu>& gpus);

}  // namespace gpuctl::lease
