#include "gpuctl/cgroup/home.hpp"

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

bool names_controller(std::string_view controllers, std::string_view wanted) {
  for (const std::string_view each : split(controllers, ',')) {
    if (each == wanted) return true;
  }
  return false;
}

}  // namespace

Result<Home> parse_home(std::string_view text) {
  std::optional<std::string> unified;
  std::optional<std::string> memory;
  bool has_v1_controller = false;
  for (const std::string_view each : split(text, '\n')) {
    const std::optional<Line> line = parse_line(each);
    if (!line) continue;
    if (line->hierarchy == "0" && line->controllers.empty()) {
      unified = line->path;
    } else if (line->controllers.substr(0, 5) != "name=") {
      has_v1_controller = true;
      if (names_controller(line->controllers, "memory")) memory = line->path;
    }
  }
  if (unified) return Home{has_v1_controller ? "hybrid" : "v2", *unified};
  if (memory) return Home{"v1", *memory};
  return fail(ErrorCode::malformed, "", "no cgroup in `" + printable(text.substr(0, 80)) + "`");
}

Result<Home> read_home(const HostFs& fs) {
  const Result<std::string> text = fs.read_file(host_paths::kSelfCgroup);
  if (!text) return fail(text.error());
  return parse_home(*text);
}

}  // namespace gpuctl::cgroup
