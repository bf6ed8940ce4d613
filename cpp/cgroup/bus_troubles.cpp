#include <algorithm>

#include "gpuctl/cgroup/bus.hpp"

namespace gpuctl::cgroup {

// The first row that fits is it: the special before the general. Patterns are words of systemd's sd-bus and manager, and
// of dbus-daemon and dbus-broker, with LC_ALL=C; tests/data/scope holds what was met.
const std::vector<BusTrouble>& bus_troubles() {
  using Step = BusStep;
  static const std::vector<BusTrouble> table = {
      {"No medium found", ErrorCode::not_found, Step::next_address,
       "no address of a bus is known, as in a batch job or under su and sudo",
       "set `XDG_RUNTIME_DIR` to `/run/user/UID`"},
      {"$XDG_RUNTIME_DIR not defined", ErrorCode::not_found, Step::next_address,
       "no address of a bus is known, as in a batch job or under su and sudo",
       "set `XDG_RUNTIME_DIR` to `/run/user/UID`"},
      {"failed to load properly", ErrorCode::unavailable, Step::give_up,
       "the manager cannot make such a unit", ""},
      {"Invalid request descriptor", ErrorCode::unsupported, Step::next_address,
       "this is the manager's private socket and not a bus", "install `dbus-user-session`"},
      {"was already loaded or has a fragment file", ErrorCode::busy, Step::reset,
       "a unit of this name is there", "`systemctl --user reset-failed`"},
      {"already exists", ErrorCode::busy, Step::reset, "a unit of this name is there",
       "`systemctl --user reset-failed`"},
      {"Resource temporarily unavailable", ErrorCode::unavailable, Step::wait,
       "the manager is overloaded", ""},
      {"maximum number of pending replies", ErrorCode::unavailable, Step::wait,
       "the bus is overloaded", ""},
      {"Connection reset by peer", ErrorCode::unavailable, Step::wait, "the bus hung up", ""},
      {"Transport endpoint is not connected", ErrorCode::unavailable, Step::wait, "the bus hung up",
       ""},
      {"connection terminated", ErrorCode::unavailable, Step::wait, "the manager hung up", ""},
      {"Message recipient disconnected", ErrorCode::unavailable, Step::wait, "the manager hung up",
       ""},
      {"Connection timed out", ErrorCode::timeout, Step::give_up, "the manager does not answer",
       "look at `systemctl --user status` and the journal"},
      {"Interactive authentication required", ErrorCode::permission, Step::give_up,
       "the system's manager takes this from root only", "use the user's own manager"},
      {"Access denied", ErrorCode::permission, Step::next_address, "the bus does not take us",
       "is the environment that of another user (su, sudo)? unset `DBUS_SESSION_BUS_ADDRESS` and "
       "`XDG_RUNTIME_DIR`"},
      {"Permission denied", ErrorCode::permission, Step::next_address, "the bus does not take us",
       "is the environment that of another user (su, sudo)? unset `DBUS_SESSION_BUS_ADDRESS` and "
       "`XDG_RUNTIME_DIR`"},
      {"Operation not permitted", ErrorCode::permission, Step::next_address,
       "the bus does not take us", "is the environment that of another user (su, sudo)?"},
      {"was not provided by any .service files", ErrorCode::not_found, Step::next_address,
       "no systemd is on this bus, as on one that `dbus-launch` or `dbus-run-session` made",
       "unset `DBUS_SESSION_BUS_ADDRESS`"},
      {"Process org.freedesktop.systemd1 exited", ErrorCode::not_found, Step::next_address,
       "no systemd is on this bus, as on one that `dbus-launch` or `dbus-run-session` made",
       "unset `DBUS_SESSION_BUS_ADDRESS`"},
      {"The name is not activatable", ErrorCode::not_found, Step::next_address,
       "no systemd is on this bus, as on one that `dbus-launch` or `dbus-run-session` made",
       "unset `DBUS_SESSION_BUS_ADDRESS`"},
      {"Connection refused", ErrorCode::not_found, Step::next_address,
       "the bus has ended and left its socket",
       "start the user manager anew: `systemctl restart user@UID.service` (as root)"},
      {"No such file or directory", ErrorCode::not_found, Step::next_address,
       "no user manager runs", "`loginctl enable-linger UID` (as root)"},
      {"No such process", ErrorCode::vanished, Step::give_up,
       "the manager does not see the process", "is it in another pid namespace?"},
      {"Cannot set property", ErrorCode::unsupported, Step::give_up,
       "this systemd does not know one of the limits", "it is too old: 244 has all of them"},
      {"Unknown assignment", ErrorCode::unsupported, Step::give_up,
       "this systemd does not know one of the limits", "it is too old: 244 has all of them"},
  };
  return table;
}

const BusTrouble* find_trouble(std::string_view said) {
  const auto& table = bus_troubles();
  const auto found = std::find_if(table.begin(), table.end(), [&](const BusTrouble& each) {
    return said.find(each.pattern) != std::string_view::npos;
  });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace gpuctl::cgroup
