#include "gpuctl/cgroup/slot_memory.hpp"

#include <algorithm>
#include <array>

namespace gpuctl::cgroup {
namespace {

struct PolicyRow {
  PreemptionPolicy policy;
  const char* name;
};

constexpr std::array<PolicyRow, 3> kPolicies = {{{PreemptionPolicy::growth, "growth"},
                                                 {PreemptionPolicy::relative_use, "relative_use"},
                                                 {PreemptionPolicy::absolute_use, "absolute_use"}}};

std::string megabytes(std::uint64_t bytes) { return std::to_string(bytes / kMegabyte) + " MB"; }

// "`what` has 12 MB left, 50 MB are kept free"; empty while enough is left.
std::string shortage(const char* what, std::uint64_t left, std::uint64_t margin) {
  if (left >= margin) return {};
  return std::string(what) + " has " + megabytes(left) + " left, " + megabytes(margin) +
         " are kept free";
}

std::uint64_t requested(const JobMemory& job, const Margins& margins) {
  if (job.requested_bytes && *job.requested_bytes > 0) return *job.requested_bytes;
  return margins.spared_bytes_per_core * (job.cores == 0 ? 1 : job.cores);
}

double score(const JobMemory& job, PreemptionPolicy policy, const Margins& margins) {
  switch (policy) {
    case PreemptionPolicy::growth:
      return static_cast<double>(job.used_bytes) -
             static_cast<double>(job.used_before_bytes.value_or(job.used_bytes));
    case PreemptionPolicy::relative_use:
      return static_cast<double>(job.used_bytes) / static_cast<double>(requested(job, margins));
    case PreemptionPolicy::absolute_use: return static_cast<double>(job.used_bytes);
  }
  return 0;
}

std::string reason_for(const JobMemory& job, PreemptionPolicy policy, const Margins& margins) {
  std::string use = "job " + job.name + " uses " + megabytes(job.used_bytes);
  switch (policy) {
    case PreemptionPolicy::growth:
      return use + " and grew most, from " +
             megabytes(job.used_before_bytes.value_or(job.used_bytes));
    case PreemptionPolicy::relative_use:
      return use + " of " + megabytes(requested(job, margins)) + ", the largest share";
    case PreemptionPolicy::absolute_use: return use + ", the most of all";
  }
  return use;
}

bool is_spared(const JobMemory& job, const Margins& margins) {
  return job.used_bytes < margins.spared_bytes_per_core * (job.cores == 0 ? 1 : job.cores);
}

}  // namespace

const char* name_of(PreemptionPolicy policy) {
  for (const PolicyRow& row : kPolicies) {
    if (row.policy == policy) return row.name;
  }
  return kPolicies[0].name;
}

std::optional<PreemptionPolicy> find_policy(std::string_view name) {
  for (const PolicyRow& row : kPolicies) {
    if (row.name == name) return row.policy;
  }
  return std::nullopt;
}

std::string broken_margin(const SlotMemory& slot, const Margins& margins) {
  std::string words;
  if (slot.used_bytes && slot.limit_bytes) {
    const std::uint64_t left =
        *slot.limit_bytes > *slot.used_bytes ? *slot.limit_bytes - *slot.used_bytes : 0;
    words = shortage("the slot", left, margins.slot_bytes_per_core * slot.cores);
  }
  if (words.empty() && slot.swap_total_bytes.value_or(0) > 0 && slot.swap_free_bytes)
    words = shortage("the machine's swap", *slot.swap_free_bytes,
                     std::min(margins.swap_bytes, *slot.swap_total_bytes / 2));
  if (words.empty() && slot.machine_available_bytes)
    words = shortage("the machine", *slot.machine_available_bytes, margins.machine_bytes);
  return words;
}

std::optional<Preemption> choose_victim(const SlotMemory& slot, const std::vector<JobMemory>& jobs,
                                        PreemptionPolicy policy, const Margins& margins) {
  const std::string broken = broken_margin(slot, margins);
  if (broken.empty() || jobs.size() < 2) return std::nullopt;
  std::optional<std::size_t> worst;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (is_spared(jobs[i], margins)) continue;
    if (!worst) {
      worst = i;
      continue;
    }
    const double here = score(jobs[i], policy, margins);
    const double most = score(jobs[*worst], policy, margins);
    if (here > most || (here == most && jobs[i].name < jobs[*worst].name)) worst = i;
  }
  if (!worst) return std::nullopt;
  return Preemption{*worst, broken + "; " + reason_for(jobs[*worst], policy, margins)};
}

}  // namespace gpuctl::cgroup
