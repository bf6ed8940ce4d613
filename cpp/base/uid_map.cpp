#include "gpuctl/base/uid_map.hpp"

#include <unistd.h>

#include <cstdint>
#include <vector>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl {
namespace {

// The whole range of ids, as the initial user namespace maps it.
constexpr std::uint64_t kAllIds = 4294967295;

struct IdRange {
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
};

std::vector<IdRange> read_uid_map(const HostFs& fs) {
  std::vector<IdRange> ranges;
  const Result<std::string> text = fs.read_file(host_paths::kSelfUidMap);
  if (!text) return ranges;
  for (const std::string_view line : split(*text, '\n')) {
    std::vector<std::uint64_t> numbers;
    for (const std::string_view word : split(line, ' ')) {
      if (const Result<std::uint64_t> number = parse_unsigned(word, "uid_map"))
        numbers.push_back(*number);
    }
    if (numbers.size() == 3) ranges.push_back({numbers[0], numbers[1], numbers[2]});
  }
  return ranges;
}

}  // namespace

uid_t outer_uid(const HostFs& fs, uid_t uid) {
  for (const IdRange& range : read_uid_map(fs)) {
    if (uid >= range.inside && uid - range.inside < range.count)
      return static_cast<uid_t>(range.outside + (uid - range.inside));
  }
  return uid;
}

uid_t uid_on_node(const HostFs& live) { return outer_uid(live, ::geteuid()); }

bool in_user_namespace(const HostFs& live) {
  const std::vector<IdRange> ranges = read_uid_map(live);
  return !(ranges.size() == 1 && ranges[0].inside == 0 && ranges[0].outside == 0 &&
           ranges[0].count == kAllIds);
}

}  // namespace gpuctl
