#include "gpuctl/cgroup/home.hpp"

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup {
namespace {

struct Line {
  std::string_view hierarchy;
  std::string_view controllers;
  std::string_view path;
};

std::optional<Line> parse_line(std::string_view text) {
  const std::size_t first = text.find(':');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = text.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return Line{text.substr(0, first), text.substr(first + 1, second - first - 1),
              text.substr(second + 1)};
}

bool has(const Membership& membership, const std::string& controller) {
  const std::vector<std::string>& all = membership.controllers;
  return std::find(all.begin(), all.end(), controller) != all.end();
}

// A named v1 hierarchy ("name=systemd") has no controller and accounts for nothing.
std::optional<Membership> membership_in(const Line& line) {
  if (line.hierarchy == "0" && line.controllers.empty())
    return Membership{{}, std::string(line.path)};
  if (line.controllers.empty() || line.controllers.substr(0, 5) == "name=") return std::nullopt;
  Membership membership{{}, std::string(line.path)};
  for (const std::string_view each : split(line.controllers, ','))
    membership.controllers.emplace_back(each);
  return membership;
}

Result<Home> home_in(std::vector<Membership> memberships, std::string_view text) {
  const auto is_v2 = [](const Membership& each) { return each.controllers.empty(); };
  std::stable_partition(memberships.begin(), memberships.end(), is_v2);
  if (!memberships.empty() && is_v2(memberships.front())) {
    const char* version = memberships.size() > 1 ? "hybrid" : "v2";
    std::string path = memberships.front().path;
    return Home{version, std::move(path), std::move(memberships)};
  }
  for (const Membership& each : memberships) {
    if (has(each, "memory")) return Home{"v1", each.path, memberships};
  }
  return fail(ErrorCode::malformed, "", "no cgroup in `" + printable(text.substr(0, 80)) + "`");
}

Result<Home> read(const HostFs& fs, const std::string& file) {
  const Result<std::string> text = fs.read_file(file);
  if (!text) return fail(text.error());
  return parse_home(*text);
}

}  // namespace

Result<Home> parse_home(std::string_view text) {
  std::vector<Membership> memberships;
  for (const std::string_view each : split(text, '\n')) {
    const std::optional<Line> line = parse_line(each);
    std::optional<Membership> found = line ? membership_in(*line) : std::nullopt;
    if (found) memberships.push_back(std::move(*found));
  }
  return home_in(std::move(memberships), text);
}

Result<Home> read_home(const HostFs& fs) { return read(fs, host_paths::kSelfCgroup); }

Result<Home> read_home(const HostFs& fs, pid_t pid) {
  return read(fs, std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/cgroup");
}

}  // namespace gpuctl::cgroup
