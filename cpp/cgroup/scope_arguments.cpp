#include <algorithm>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/scope.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr std::uint64_t kMostCpus = 8192;  // CONFIG_NR_CPUS of the largest kernels
constexpr std::size_t kNonceShown = 12;

using Words = std::vector<std::string>;

// Bit n of byte n/8 for each CPU n: how the manager takes a list of CPUs.
Result<std::vector<unsigned>> cpu_mask(const std::string& list) {
  std::vector<unsigned> bytes;
  for (const std::string_view range : split(list, ',')) {
    const std::size_t dash = range.find('-');
    const Result<std::uint64_t> first =
        parse_unsigned(range.substr(0, dash), "a CPU", 10, kMostCpus - 1);
    const Result<std::uint64_t> last =
        dash == std::string_view::npos
            ? first
            : parse_unsigned(range.substr(dash + 1), "a CPU", 10, kMostCpus - 1);
    if (!first || !last || *first > *last)
      return fail(ErrorCode::malformed, "", "`" + printable(list) + "` is no list of CPUs");
    if (bytes.size() <= *last / 8) bytes.resize(*last / 8 + 1);
    for (std::uint64_t cpu = *first; cpu <= *last; ++cpu) bytes[cpu / 8] |= 1U << (cpu % 8);
  }
  return bytes;
}

class Properties {
 public:
  void add(const char* name, const char* type, const std::string& value) {
    words_.insert(words_.end(), {name, type, value});
    ++count_;
  }

  void add(const char* name, const char* type, const Words& values) {
    words_.insert(words_.end(), {name, type, std::to_string(values.size())});
    words_.insert(words_.end(), values.begin(), values.end());
    ++count_;
  }

  // An array of pairs with the same second member.
  void add(const char* name, const char* type, const Words& firsts, const char* second) {
    words_.insert(words_.end(), {name, type, std::to_string(firsts.size())});
    for (const std::string& first : firsts) words_.insert(words_.end(), {first, second});
    ++count_;
  }

  void add(const char* name, const std::optional<std::uint64_t>& value) {
    if (value) add(name, "t", std::to_string(*value));
  }

  std::size_t count() const { return count_; }
  const Words& words() const { return words_; }

 private:
  Words words_;
  std::size_t count_ = 0;
};

template <typename Number>
Words as_words(const std::vector<Number>& numbers) {
  Words words(numbers.size());
  std::transform(numbers.begin(), numbers.end(), words.begin(),
                 [](Number each) { return std::to_string(each); });
  return words;
}

Result<void> add_limits(Properties& properties, const ScopeLimits& limits) {
  properties.add("MemoryMax", limits.memory_bytes);
  properties.add("MemorySwapMax", limits.swap_bytes);
  properties.add("TasksMax", limits.pids);
  if (limits.cpu_millis)
    properties.add("CPUQuotaPerSecUSec", *limits.cpu_millis * (kUsecPerSec / 1000));
  if (limits.devices) {
    properties.add("DevicePolicy", "s", "closed");
    properties.add("DeviceAllow", "a(ss)", *limits.devices, "rwm");
  }
  if (!limits.cpus) return {};
  const Result<std::vector<unsigned>> mask = cpu_mask(*limits.cpus);
  if (!mask) return fail(mask.error());
  properties.add("AllowedCPUs", "ay", as_words(*mask));
  return {};
}

}  // namespace

std::string scope_name(const std::string& job_id, const std::string& nonce) {
  return "gpuctl-" + job_id + "." + nonce.substr(0, kNonceShown) + ".scope";
}

Result<Words> scope_arguments(const ScopeRequest& request) {
  Properties properties;
  properties.add("Description", "s", request.description);
  properties.add("PIDs", "au", as_words(request.pids));
  properties.add("Delegate", "b", "true");
  properties.add("CollectMode", "s", "inactive-or-failed");
  if (Result<void> added = add_limits(properties, request.limits); !added)
    return fail(added.error());
  Words words = {"ssa(sv)a(sa(sv))", request.name, "fail", std::to_string(properties.count())};
  words.insert(words.end(), properties.words().begin(), properties.words().end());
  words.emplace_back("0");
  return words;
}

}  // namespace gpuctl::cgroup
