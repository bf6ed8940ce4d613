#include "gpuctl/base/without.hpp"

#include <array>

#include "gpuctl/base/parse.hpp"

namespace gpuctl {
namespace {

struct Switch {
  const char* name;
  bool Without::* member;
};

constexpr std::array<Switch, 12> kSwitches = {{{"pidfd", &Without::pidfd},
                                               {"children", &Without::children},
                                               {"cgroup_kill", &Without::cgroup_kill},
                                               {"cgroup_freeze", &Without::cgroup_freeze},
                                               {"clone_into_cgroup", &Without::clone_into_cgroup},
                                               {"foreign_proc", &Without::foreign_proc},
                                               {"namespaces", &Without::namespaces},
                                               {"private_dev", &Without::private_dev},
                                               {"landlock", &Without::landlock},
                                               {"landlock_scope", &Without::landlock_scope},
                                               {"seccomp", &Without::seccomp},
                                               {"device_filter", &Without::device_filter}}};

// "pidfd, children, …"
std::string known_names() {
  std::string names;
  for (const Switch& each : kSwitches)
    names += (names.empty() ? "" : ", ") + std::string(each.name);
  return names;
}

Without& in_force() {
  static Without chosen;
  return chosen;
}

}  // namespace

const Without& without() { return in_force(); }

void set_without(const Without& chosen) { in_force() = chosen; }

Result<Without> parse_without(std::string_view list) {
  Without chosen;
  if (list.empty()) return chosen;
  for (const std::string_view name : split(list, ',')) {
    bool known = false;
    for (const Switch& each : kSwitches) {
      if (name != each.name) continue;
      chosen.*each.member = true;
      known = true;
    }
    if (!known) {
      return fail(ErrorCode::usage, "GPUCTL_TEST_WITHOUT",
                  "`" + printable(name) + "` is none of " + known_names());
    }
  }
  return chosen;
}

}  // namespace gpuctl
