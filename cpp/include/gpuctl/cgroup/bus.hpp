// Bus: where systemd's manager listens, a user's own or, for root, the system's, and what it means when it does not answer.
//
// Nothing is asked here: addresses come from what the caller read (no environment below `app`), and a tool's words
// become a diagnosis and a remedy by one table.
//
//   BusPlaces places = {…};
//   for (const BusAddress& each : bus_addresses(places)) …;
//   if (const BusTrouble* trouble = find_trouble("Failed to connect to bus: No medium found")) say(trouble->remedy);
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/result.hpp"

namespace gpuctl::cgroup {

// What tells where the bus is.
struct BusPlaces {
  uid_t uid = 0;                               // as the rest of the node sees us: uid_on_node()
  std::optional<std::string> session_address;  // DBUS_SESSION_BUS_ADDRESS
  std::optional<std::string> runtime_dir;      // XDG_RUNTIME_DIR
  std::string path;                            // PATH, to find the tool
};

struct BusAddress {
  std::string address;  // "unix:path=/run/user/2000/bus"
  std::string socket;   // the path in it; empty for an abstract one
  std::string from;     // "XDG_RUNTIME_DIR"
};

// The addresses to try, the most wanted first, none twice. Root's is the system's bus alone. Of a user: the session
// bus, then below XDG_RUNTIME_DIR, then /run/user/UID, which is right when the environment is that of another user (su,
// sudo) or of nobody (a batch job).
std::vector<BusAddress> bus_addresses(const BusPlaces& places);

enum class BusStep {
  next_address,  // this bus does not serve: another one may
  reset,         // a dead unit has the name: have it forgotten, then once more
  wait,          // it is overloaded or starting: again after a while
  give_up,
};

struct BusTrouble {
  const char* pattern;  // what the tool's words contain
  ErrorCode code;
  BusStep step;
  const char* diagnosis;
  const char* remedy;  // may be empty
};

const std::vector<BusTrouble>& bus_troubles();

// nullptr: words that nobody has met yet.
const BusTrouble* find_trouble(std::string_view said);

// Why nothing listens at any address, and what to do, by what is there of the user's manager.
Error explain_silence(const HostFs& fs, const BusPlaces& places);

}  // namespace gpuctl::cgroup
