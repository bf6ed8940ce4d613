#include "gpuctl/cgroup/bus.hpp"

#include <fcntl.h>

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr std::string_view kUnixPath = "unix:path=";

// "/run/user/2000/bus" of "unix:path=/run/user/2000/bus,guid=…".
std::string socket_of(std::string_view address) {
  if (address.substr(0, kUnixPath.size()) != kUnixPath) return {};
  return std::string(address.substr(kUnixPath.size(), address.find(',') - kUnixPath.size()));
}

class Addresses {
 public:
  void add_path(const std::string& path, const std::string& from) {
    add(std::string(kUnixPath) + path, from);
  }

  // The variable may hold several, separated by `;`; other transports than sockets of this node do not lead to systemd.
  void add(std::string_view text, const std::string& from) {
    for (const std::string_view each : split(text, ';')) {
      if (each.substr(0, 5) != "unix:") continue;
      BusAddress made{std::string(each), socket_of(each), from};
      const auto same = [&](const BusAddress& known) {
        return known.address == made.address ||
               (!made.socket.empty() && known.socket == made.socket);
      };
      if (std::none_of(all_.begin(), all_.end(), same)) all_.push_back(std::move(made));
    }
  }

  std::vector<BusAddress> take() { return std::move(all_); }

 private:
  std::vector<BusAddress> all_;
};

std::string run_user(uid_t uid) { return host_paths::kLiveRunUser + std::to_string(uid); }

bool is_there(const HostFs& fs, const std::string& path) {
  return fs.open_path(path.substr(1), O_PATH | O_NOFOLLOW).has_value();
}

Error silence(ErrorCode code, const std::string& path, const std::string& words) {
  return Error{code, 0, path, words};
}

}  // namespace

std::vector<BusAddress> bus_addresses(const BusPlaces& places) {
  Addresses addresses;
  if (places.uid == 0) {
    addresses.add_path(host_paths::kLiveSystemBus, "the system bus");
    return addresses.take();
  }
  if (places.session_address) addresses.add(*places.session_address, "DBUS_SESSION_BUS_ADDRESS");
  if (places.runtime_dir && !places.runtime_dir->empty() && places.runtime_dir->front() == '/')
    addresses.add_path(*places.runtime_dir + "/bus", "XDG_RUNTIME_DIR");
  addresses.add_path(run_user(places.uid) + "/bus", "the user's runtime directory");
  return addresses.take();
}

Error explain_silence(const HostFs& fs, const BusPlaces& places) {
  if (places.uid == 0) {
    return silence(ErrorCode::not_found, host_paths::kLiveSystemBus,
                   "no system bus: start `dbus.socket`, and bring its socket into the container");
  }
  const std::string home = run_user(places.uid);
  const std::string uid = std::to_string(places.uid);
  if (is_there(fs, home + "/systemd/private")) {
    return silence(ErrorCode::not_found, home + "/bus",
                   "the user manager of uid " + uid +
                       " runs without a bus: install `dbus-user-session` (or `dbus-broker`), then "
                       "`systemctl --user start dbus.socket`");
  }
  std::string words = "no user manager of uid " + uid +
                      ": an administrator starts one for good with `loginctl enable-linger " + uid +
                      "`; in a container, `" + home + "` must be brought into it";
  if (places.runtime_dir && *places.runtime_dir != home) {
    words += "; `XDG_RUNTIME_DIR` is `" + printable(*places.runtime_dir) +
             "`, as su and sudo leave it: unset it, or set it to `" + home + "`";
  }
  return silence(ErrorCode::not_found, home, words);
}

}  // namespace gpuctl::cgroup
