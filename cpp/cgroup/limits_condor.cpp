// What HTCondor tells a job by its ads: the slot's share, and the policies that end a job for its memory.
#include "classad.hpp"
#include "gpuctl/base/parse.hpp"
#include "sources.hpp"

namespace gpuctl::cgroup::internal {
namespace {

struct AdRow {
  const char* attribute;
  Resource resource;
  double unit;
};

constexpr double kKib = 1024;
constexpr double kMib = 1024 * 1024;

constexpr AdRow kMachine[] = {{"Memory", Resource::memory, kMib},
                              {"Cpus", Resource::cpus, static_cast<double>(kMicroCpus)},
                              {"GPUs", Resource::gpus, 1}};
// JobMemoryLimit is not HTCondor's own: computing elements set it, in KiB, for their periodic policies.
constexpr AdRow kJob[] = {{"RequestMemory", Resource::memory, kMib},
                          {"JobMemoryLimit", Resource::memory, kKib},
                          {"RequestCpus", Resource::cpus, static_cast<double>(kMicroCpus)}};
// Attributes of a running job that policies compare with a limit, in these units.
constexpr AdRow kUsage[] = {{"ResidentSetSize", Resource::memory, kKib},
                            {"MemoryUsage", Resource::memory, kMib}};
constexpr const char* kPolicies[] = {"PeriodicRemove", "PeriodicHold"};

std::optional<std::uint64_t> scaled(std::optional<double> value, double unit) {
  constexpr double kMost = 9e18;
  if (!value || !(*value >= 0) || *value * unit > kMost) return std::nullopt;
  return static_cast<std::uint64_t>(*value * unit);
}

std::optional<ClassAd> read_ad(const HostFs& fs, const SlotEnv& env, const char* variable,
                               Limits& limits) {
  const std::optional<std::string> path = env.find(variable);
  if (!path || path->empty()) return std::nullopt;
  const std::size_t start = path->find_first_not_of('/');
  const Result<std::string> text =
      path->front() == '/' && start != std::string::npos
          ? fs.read_file(path->substr(start))
          : fail(ErrorCode::malformed, printable(*path), std::string("no path in ") + variable);
  if (text) return ClassAd::parse(*text);
  limits.problems.push_back(text.error());
  return std::nullopt;
}

void add_policy(const ClassAd& ad, const char* policy, const AdRow& row, Limits& limits) {
  for (const std::optional<double> threshold : ad.thresholds(policy, row.attribute)) {
    const std::optional<std::uint64_t> value = scaled(threshold, row.unit);
    const std::string by = std::string(policy) + " on " + row.attribute;
    if (value) {
      limits.all.push_back({row.resource, *value, LimitSource::condor_job_ad, by, false});
    } else {
      limits.problems.push_back(
          fail(ErrorCode::unsupported, policy,
               "cannot evaluate `" + printable(ad.expression(policy)->substr(0, 200)) + "`")
              .error);
    }
  }
}

template <std::size_t N>
void add_attributes(const ClassAd& ad, const AdRow (&rows)[N], LimitSource source, Limits& limits) {
  for (const AdRow& row : rows) {
    const std::optional<std::uint64_t> value = scaled(ad.number(row.attribute), row.unit);
    if (value) limits.all.push_back({row.resource, *value, source, row.attribute, false});
  }
}

}  // namespace

void add_condor_limits(const HostFs& fs, const SlotEnv& env, Limits& limits) {
  if (const auto machine = read_ad(fs, env, "_CONDOR_MACHINE_AD", limits))
    add_attributes(*machine, kMachine, LimitSource::condor_machine_ad, limits);
  const std::optional<ClassAd> job = read_ad(fs, env, "_CONDOR_JOB_AD", limits);
  if (!job) return;
  add_attributes(*job, kJob, LimitSource::condor_job_ad, limits);
  for (const char* policy : kPolicies) {
    for (const AdRow& row : kUsage) add_policy(*job, policy, row, limits);
  }
}

}  // namespace gpuctl::cgroup::internal
