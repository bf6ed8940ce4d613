#include "memory.hpp"

#include <unistd.h>

#include <optional>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::job {
namespace {

std::uint64_t resident_bytes_of(const proc::Stat& member) {
  return member.rss_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

// "Pss:        1234 kB"
std::optional<std::uint64_t> field_bytes(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (line.substr(0, key.size()) != key) continue;
    std::string_view number = trim(line.substr(key.size()));
    number = number.substr(0, number.find(' '));
    const Result<std::uint64_t> kilobytes =
        parse_unsigned(number, "kilobytes", 10, std::uint64_t{1} << 50);
    if (kilobytes) return *kilobytes * 1024;
  }
  return std::nullopt;
}

std::uint64_t proportional_bytes_of(const HostFs& fs, const proc::Stat& member) {
  const Result<std::string> text = fs.read_file(std::string(host_paths::kProc) + "/" +
                                                std::to_string(member.pid) + "/smaps_rollup");
  const std::optional<std::uint64_t> pss = text ? field_bytes(*text, "Pss:") : std::nullopt;
  if (!pss) return resident_bytes_of(member);
  return *pss + field_bytes(*text, "SwapPss:").value_or(0);
}

}  // namespace

std::uint64_t resident_bytes(const std::vector<proc::Stat>& members) {
  std::uint64_t sum = 0;
  for (const proc::Stat& each : members) sum += resident_bytes_of(each);
  return sum;
}

std::uint64_t proportional_bytes(const HostFs& fs, const std::vector<proc::Stat>& members) {
  std::uint64_t sum = 0;
  for (const proc::Stat& each : members) sum += proportional_bytes_of(fs, each);
  return sum;
}

}  // namespace gpuctl::job
