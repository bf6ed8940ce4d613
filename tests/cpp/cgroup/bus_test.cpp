#include "gpuctl/cgroup/bus.hpp"

#include <doctest/doctest.h>

#include <set>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using cgroup::BusPlaces;
using cgroup::BusStep;
using cgroup::BusTrouble;
using gpuctl::testing::TempTree;

namespace {

std::vector<std::string> sockets(const BusPlaces& places) {
  std::vector<std::string> all;
  for (const cgroup::BusAddress& each : cgroup::bus_addresses(places)) all.push_back(each.socket);
  return all;
}

using Paths = std::vector<std::string>;

struct Said {
  const char* words;
  BusStep step;
  ErrorCode code;
};

}  // namespace

TEST_CASE("a user's addresses: session, runtime directory, the uid's; root's is the system's") {
  BusPlaces places;
  places.uid = 2000;
  CHECK(sockets(places) == Paths{"/run/user/2000/bus"});
  places.runtime_dir = "/run/user/2000";
  CHECK(sockets(places) == Paths{"/run/user/2000/bus"});
  CHECK(cgroup::bus_addresses(places)[0].from == "XDG_RUNTIME_DIR");
  places.runtime_dir = "/run/user/1000";
  places.session_address = "unix:path=/tmp/bus,guid=0123;unix:abstract=/tmp/x;tcp:host=h,port=1";
  CHECK(sockets(places) == Paths{"/tmp/bus", "", "/run/user/1000/bus", "/run/user/2000/bus"});
  CHECK(cgroup::bus_addresses(places)[0].address == "unix:path=/tmp/bus,guid=0123");
  for (const char* useless : {"", "autolaunch:", "disabled:", "rubbish", ";;"}) {
    places.session_address = useless;
    CHECK(sockets(places).size() == 2);
  }
  places.runtime_dir = "not/absolute";
  CHECK(sockets(places) == Paths{"/run/user/2000/bus"});
  places.uid = 0;
  CHECK(sockets(places) == Paths{"/run/dbus/system_bus_socket"});
}

// Words of busctl and systemd-run of systemd 252 and 257, dbus-daemon 1.16, as they were met.
TEST_CASE("what the tools say is understood") {
  const std::vector<Said> all = {
      {"Failed to connect to bus: No medium found", BusStep::next_address, ErrorCode::not_found},
      {"Failed to set bus address: $DBUS_SESSION_BUS_ADDRESS and $XDG_RUNTIME_DIR not defined "
       "(consider "
       "using --machine=<user>@.host --user to connect to bus of other user)",
       BusStep::next_address, ErrorCode::not_found},
      {"Failed to connect to bus: No such file or directory", BusStep::next_address,
       ErrorCode::not_found},
      {"Failed to connect to system scope bus via local transport: No such file or directory",
       BusStep::next_address, ErrorCode::not_found},
      {"Failed to connect to system scope bus via local transport: Connection refused",
       BusStep::next_address, ErrorCode::not_found},
      {"Failed to connect to system scope bus via local transport: Permission denied",
       BusStep::next_address, ErrorCode::permission},
      {"Call failed: Access denied", BusStep::next_address, ErrorCode::permission},
      {"Call failed: Invalid request descriptor", BusStep::next_address, ErrorCode::unsupported},
      {"Call failed: Process org.freedesktop.systemd1 exited with status 1", BusStep::next_address,
       ErrorCode::not_found},
      {"Call failed: The name org.freedesktop.systemd1 was not provided by any .service files",
       BusStep::next_address, ErrorCode::not_found},
      {"Call failed: Unit x3.scope was already loaded or has a fragment file.", BusStep::reset,
       ErrorCode::busy},
      {"Call failed: Resource temporarily unavailable", BusStep::wait, ErrorCode::unavailable},
      {"Call failed: Cannot set property NoSuch, or unknown property.", BusStep::give_up,
       ErrorCode::unsupported},
      {"Call failed: Failed to set unit properties: No such process", BusStep::give_up,
       ErrorCode::vanished},
      {"Call failed: Connection timed out", BusStep::give_up, ErrorCode::timeout},
      {"Call failed: Unit x7.scope failed to load properly, please adjust/correct and reload "
       "service "
       "manager: No such file or directory",
       BusStep::give_up, ErrorCode::unavailable},
  };
  for (const Said& each : all) {
    CAPTURE(each.words);
    const BusTrouble* trouble = cgroup::find_trouble(each.words);
    REQUIRE(trouble != nullptr);
    CHECK(trouble->step == each.step);
    CHECK(trouble->code == each.code);
  }
}

TEST_CASE("words that nobody has met are nobody's") {
  for (const char* words : {"", "Call failed: the moon is full", "rc 1", "\xff\x00 binary"})
    CHECK(cgroup::find_trouble(words) == nullptr);
}

TEST_CASE("each row of the table can be reached and says something") {
  std::set<const BusTrouble*> found;
  for (const BusTrouble& each : cgroup::bus_troubles()) {
    CAPTURE(each.pattern);
    CHECK(std::string(each.diagnosis).size() > 5);
    found.insert(cgroup::find_trouble(std::string("Call failed: ") + each.pattern + "."));
  }
  CHECK(found.size() == cgroup::bus_troubles().size());
}

TEST_CASE("silence is explained by what is there") {
  const TempTree tree;
  const HostFs fs = *HostFs::open(tree.path());
  BusPlaces places;
  places.uid = 2000;
  const auto words = [&] { return cgroup::explain_silence(fs, places).message(); };
  CHECK(words().find("`loginctl enable-linger 2000`") != std::string::npos);
  CHECK(words().find("XDG_RUNTIME_DIR") == std::string::npos);
  places.runtime_dir = "/run/user/1000\n";
  CHECK(words().find("`XDG_RUNTIME_DIR` is `/run/user/1000\\x0a`") != std::string::npos);
  tree.write("run/user/2000/systemd/private", "");
  CHECK(words().find("`dbus-user-session`") != std::string::npos);
  places.uid = 0;
  CHECK(words().find("no system bus") != std::string::npos);
}
