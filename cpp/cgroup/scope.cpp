#include "gpuctl/cgroup/scope.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/random.h>

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/tool.hpp"
#include "gpuctl/cgroup/home.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr unsigned kMostTries = 7;
constexpr Usec kFirstPause = 100'000;
constexpr int kLongestLookMs = 50;
constexpr std::size_t kLongestName = 255;
constexpr const char* kTool = "busctl";
constexpr const char* kUsualPath = "/usr/bin:/bin";  // an empty one would be the current directory

// Between half of `pause` and all of it: many jobs of a node start at once.
Usec with_jitter(Usec pause) {
  std::uint16_t random = 0;
  if (::getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) return pause;
  return pause / 2 + pause / 2 * random / 65536;
}

void sleep_for(Usec time) { ::poll(nullptr, 0, static_cast<int>((time + 999) / 1000)); }

bool is_unit_name(const std::string& name) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:-_.\\";
  constexpr std::string_view kEnd = ".scope";
  return name.size() > kEnd.size() && name.size() <= kLongestName &&
         name.compare(name.size() - kEnd.size(), kEnd.size(), kEnd) == 0 &&
         name.find_first_not_of(kLetters) == std::string::npos;
}

// A manager of another pid namespace would take our pid for somebody else's, and move that one.
Result<void> check_manager_counts_as_we_do(const HostFs& fs) {
  constexpr std::string_view kInitialPidNamespace = "pid:[4026531836]";  // PROC_PID_INIT_INO
  const Result<Dir> own = fs.open_dir(host_paths::kSelfNs);
  if (own && own->link_target("pid").value_or(std::nullopt) == kInitialPidNamespace) return {};
  const Result<std::string> first = fs.read_file(host_paths::kInitComm);
  if (first && *first == "systemd") return {};
  return fail(ErrorCode::unsupported, "",
              "we are in a pid namespace without a systemd, a container: its processes cannot be "
              "named to one outside; start `gpuctl run` outside of it");
}

Result<void> check_ground(const HostFs& fs) {
  if (!fs.open_dir(host_paths::kSystemdBooted)) {
    return fail(ErrorCode::unsupported, "",
                "no systemd runs here, or it cannot be seen from inside this container");
  }
  return check_manager_counts_as_we_do(fs);
}

std::string last_component(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Where the process is now, once that is in the unit.
std::optional<std::string> path_in_unit(const HostFs& fs, pid_t pid, const std::string& unit) {
  const Result<std::string> text =
      fs.read_file(std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/cgroup");
  if (!text) return std::nullopt;
  const Result<Home> home = parse_home(*text);
  if (!home || last_component(home->path) != unit) return std::nullopt;
  return home->path;
}

std::optional<std::string> path_of_all(const HostFs& fs, const ScopeRequest& request) {
  std::optional<std::string> path;
  for (const pid_t pid : request.pids) {
    path = path_in_unit(fs, pid, request.name);
    if (!path) return std::nullopt;
  }
  return path;
}

// One manager, asked until it did it or will not.
class Asking {
 public:
  Asking(const HostFs& fs, const BusPlaces& places, const ScopeRequest& request,
         std::vector<std::string> arguments, Usec deadline)
      : fs_(fs),
        places_(places),
        request_(request),
        arguments_(std::move(arguments)),
        deadline_(deadline) {}

  Result<Scope> ask(const BusAddress& bus) {
    Usec pause = kFirstPause;
    bool was_reset = false;
    for (unsigned tries = 1;; ++tries) {
      const Result<void> taken = call(bus, "StartTransientUnit", arguments_);
      if (taken) return wait_until_moved(bus, tries);
      const bool once_more = step_ == BusStep::wait && tries < kMostTries;
      const bool reset = step_ == BusStep::reset && !std::exchange(was_reset, true);
      if ((!once_more && !reset) || monotonic_usec() + pause >= deadline_)
        return fail(taken.error());
      if (reset) static_cast<void>(call(bus, "ResetFailedUnit", {"s", request_.name}).has_value());
      if (once_more) sleep_for(with_jitter(pause));
      if (once_more) pause *= 2;
    }
  }

  // What the last failure calls for.
  BusStep step() const { return step_; }

 private:
  Result<void> call(const BusAddress& bus, const std::string& method,
                    const std::vector<std::string>& arguments) {
    ToolCall tool;
    tool.argv = {kTool,
                 "--quiet",
                 "--address=" + bus.address,
                 "--",
                 "call",
                 "org.freedesktop.systemd1",
                 "/org/freedesktop/systemd1",
                 "org.freedesktop.systemd1.Manager",
                 method};
    tool.argv.insert(tool.argv.end(), arguments.begin(), arguments.end());
    tool.environment = {"PATH=" + (places_.path.empty() ? kUsualPath : places_.path), "LC_ALL=C",
                        "SYSTEMD_COLORS=0"};
    tool.timeout = std::max<Usec>(deadline_ - monotonic_usec(), 0);
    step_ = BusStep::give_up;
    const Result<ToolEnd> end = run_tool(tool);
    if (!end) return fail(tool_error(end.error()));
    if (end->exited_with(0)) return {};
    return refusal(bus, end->words());
  }

  static Error tool_error(Error error) {
    if (error.code == ErrorCode::not_found)
      error.detail = "not found: it comes with systemd; in a container, bring it into it";
    return error;
  }

  Result<void> refusal(const BusAddress& bus, const std::string& said) {
    const BusTrouble* trouble = find_trouble(said);
    std::string words = "systemd was asked over " + bus.from + " and says `" + said + "`";
    if (trouble == nullptr) return fail(ErrorCode::unavailable, "", words);
    step_ = trouble->step;
    words += std::string(": ") + trouble->diagnosis;
    if (*trouble->remedy != 0) words += std::string("; ") + with_uid(trouble->remedy);
    return fail(trouble->code, "", words);
  }

  std::string with_uid(std::string text) const {
    const std::size_t at = text.find("UID`");
    if (at != std::string::npos) text.replace(at, 3, std::to_string(places_.uid));
    return text;
  }

  // The answer to the call is a job's name; the job is done when the processes are there.
  Result<Scope> wait_until_moved(const BusAddress& bus, unsigned tries) const {
    for (int pause_ms = 0;; pause_ms = std::min(pause_ms * 2 + 1, kLongestLookMs)) {
      if (std::optional<std::string> path = path_of_all(fs_, request_))
        return Scope{request_.name, std::move(*path), bus.from, tries};
      if (monotonic_usec() >= deadline_) break;
      ::poll(nullptr, 0, pause_ms);
    }
    return fail(ErrorCode::timeout, request_.name,
                "systemd took the scope over " + bus.from + " and did not move us into it within " +
                    format_duration(request_.timeout) + ": its journal tells why");
  }

  const HostFs& fs_;
  const BusPlaces& places_;
  const ScopeRequest& request_;
  std::vector<std::string> arguments_;
  Usec deadline_;
  BusStep step_ = BusStep::give_up;
};

// Is somebody to be expected there? An abstract socket cannot be looked at.
bool has_socket(const HostFs& fs, const BusAddress& bus) {
  return bus.socket.size() < 2 || fs.open_path(bus.socket.substr(1), O_PATH).has_value();
}

}  // namespace

Result<std::vector<BusAddress>> find_buses(const HostFs& fs, const BusPlaces& places) {
  if (Result<void> good = check_ground(fs); !good) return fail(good.error());
  std::vector<BusAddress> buses = bus_addresses(places);
  buses.erase(std::remove_if(buses.begin(), buses.end(),
                             [&](const BusAddress& bus) { return !has_socket(fs, bus); }),
              buses.end());
  if (buses.empty()) return fail(explain_silence(fs, places));
  return buses;
}

Result<Scope> make_scope(const HostFs& fs, const BusPlaces& places, const ScopeRequest& request) {
  if (!is_unit_name(request.name)) {
    return fail(ErrorCode::usage, "",
                "`" + printable(request.name) + "` is no name of a scope: expected NAME.scope");
  }
  const Result<std::vector<BusAddress>> buses = find_buses(fs, places);
  if (!buses) return fail(buses.error());
  Result<std::vector<std::string>> arguments = scope_arguments(request);
  if (!arguments) return fail(arguments.error());
  Asking asking(fs, places, request, std::move(*arguments), monotonic_usec() + request.timeout);
  Error refused;
  for (const BusAddress& bus : *buses) {
    Result<Scope> scope = asking.ask(bus);
    if (scope || asking.step() != BusStep::next_address) return scope;
    if (refused.detail.empty()) refused = scope.error();
  }
  return fail(std::move(refused));
}

}  // namespace gpuctl::cgroup
