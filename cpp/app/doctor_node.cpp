// The node itself: its GPUs, its cgroups, systemd, the state directory and who left something there.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "doctor.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/state_place.hpp"
#include "gpuctl/base/uid_map.hpp"
#include "gpuctl/cgroup/bus.hpp"
#include "gpuctl/cgroup/delegation.hpp"
#include "gpuctl/gpu/inventory.hpp"
#include "gpuctl/job/state_dir.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "inventory.hpp"

namespace gpuctl::app {
namespace {

Check judge_gpu(const gpu::Gpu& gpu) {
  Check check{"gpu." + gpu.id, CheckStatus::pass,
              gpu.model.value_or(gpu.vendor + " GPU") + ", " + name_of(gpu.health.state), ""};
  if (gpu.usable) return check;
  check.status =
      gpu.health.state == gpu::HealthState::no_driver ? CheckStatus::warn : CheckStatus::fail;
  for (const gpu::HealthReason& reason : gpu.health.reasons) check.detail += "; " + reason.detail;
  check.remedy = gpu.health.state == gpu::HealthState::no_driver
                     ? "load the vendor's driver, or leave this GPU to its other use"
                     : "`gpuctl discover -v` has the reasons; `gpuctl drain` keeps jobs off it";
  return check;
}

Result<gpu::Inventory> discover(const Context& context, const HostFs& fs) {
  Result<gpu::DiscoverOptions> options = gpu::make_discover_options(context.config.text("pci_ids"));
  if (!options) return fail(options.error());
  options->slot = slot_env(context.environment);
  return gpu::discover(fs, *options);
}

std::string names_of_controllers(const cgroup::Place& place) {
  const Result<Fd> file = open_at(place.dir.get(), "cgroup.controllers", O_RDONLY);
  const Result<std::string> text = file ? read_all(file->get(), 4096, "") : fail(file.error());
  return text ? text->substr(0, text->find('\n')) : "";
}

Check judge_controllers(const cgroup::Place& place) {
  const std::string names = names_of_controllers(place);
  std::string missing;
  for (const char* each : {"memory", "pids", "cpu"}) {
    if ((" " + names + " ").find(std::string(" ") + each + " ") == std::string::npos)
      missing += std::string(missing.empty() ? "" : ", ") + each;
  }
  if (missing.empty()) return {"cgroup.controllers", CheckStatus::pass, names, ""};
  return {"cgroup.controllers", CheckStatus::warn, "no " + missing + " for jobs",
          "`Delegate=yes` (or memory pids cpu) for the unit that starts gpuctl, or for "
          "user@.service; v1 controllers are not used"};
}

Check judge_lingering(const Context& context, const HostFs& live) {
  constexpr const char* kId = "systemd.user_manager";
  const Result<std::optional<Dir>> booted = live.open_dir_if_present(host_paths::kSystemdBooted);
  if (!booted || !*booted) return {kId, CheckStatus::skip, "systemd does not run here", ""};
  if (::geteuid() == 0) return {kId, CheckStatus::skip, "root asks the system's manager", ""};
  cgroup::BusPlaces places;
  places.uid = uid_on_node(live);
  places.session_address = context.environment.find("DBUS_SESSION_BUS_ADDRESS");
  places.runtime_dir = context.environment.find("XDG_RUNTIME_DIR");
  for (const cgroup::BusAddress& each : cgroup::bus_addresses(places)) {
    if (!each.socket.empty() && ::access(each.socket.c_str(), W_OK) == 0)
      return {kId, CheckStatus::pass, "listens at " + each.socket, ""};
  }
  const Error silence = cgroup::explain_silence(live, places);
  return {kId, CheckStatus::warn, silence.message(),
          "`loginctl enable-linger " + std::to_string(places.uid) +
              "`: needed only where the slot has no room for a job's cgroup"};
}

Check judge_ledger(const Context& context, const HostFs& hardware) {
  constexpr const char* kId = "ledger.leases";
  Result<lease::Ledger> ledger =
      lease::Ledger::open({&hardware, context.config.text("state_dir"), lease::Scope::slot});
  Result<lease::View> view = ledger ? ledger->view() : fail(ledger.error());
  if (!view) return {kId, CheckStatus::fail, view.error().message(), "see `gpuctl status`"};
  Check check{kId, CheckStatus::pass, std::to_string(view->leases.size()) + " on record", ""};
  const auto stale =
      std::count_if(view->leases.begin(), view->leases.end(),
                    [](const lease::Lease& each) { return each.state == lease::State::releasing; });
  for (const Error& problem : view->problems) check.detail += "; " + problem.message();
  if (stale > 0) check.detail += "; " + std::to_string(stale) + " cannot be taken back yet";
  if (stale == 0 && view->problems.empty()) return check;
  check.status = CheckStatus::warn;
  check.remedy =
      "`gpuctl status` names who keeps them; `gpuctl status --repair` puts right what a "
      "crash left";
  return check;
}

// A network namespace or a private /dev/shm of its own: then others' reservations are not seen.
Check judge_scope(const HostFs& live) {
  constexpr const char* kId = "ledger.scope";
  const Result<Fd> inits = live.open_path(host_paths::kInitMountNs, O_RDONLY);
  if (!inits) return {kId, CheckStatus::skip, "whether this is the node's view cannot be seen", ""};
  struct stat ours{};
  struct stat nodes{};
  const Result<Fd> again = live.open_path(std::string(host_paths::kSelfNs) + "/mnt", O_RDONLY);
  if (!again || ::fstat(again->get(), &ours) != 0 || ::fstat(inits->get(), &nodes) != 0)
    return {kId, CheckStatus::skip, "whether this is the node's view cannot be seen", ""};
  if (ours.st_ino == nodes.st_ino) return {kId, CheckStatus::pass, "the node's own", ""};
  return {kId, CheckStatus::warn, "gpuctl is in a mount namespace of its own",
          "give it the node's state directory (/run/gpuctl), or say `--ledger-scope slot`"};
}

Check judge_jobs(const Context& context) {
  constexpr const char* kId = "jobs.dead";
  const Result<job::StateDir> state = job::StateDir::open(context.config.text("state_dir"));
  const Result<std::vector<std::string>> names = state ? state->jobs() : fail(state.error());
  if (!names) return {kId, CheckStatus::skip, names.error().message(), ""};
  std::string dead;
  for (const std::string& name : *names) {
    const Result<job::JobDir> directory = state->open_job(name);
    if (directory && directory->is_ours()) dead += (dead.empty() ? "" : ", ") + name;
  }
  if (dead.empty())
    return {kId, CheckStatus::pass, std::to_string(names->size()) + " jobs, each supervised", ""};
  return {kId, CheckStatus::warn, "their supervisor died: " + dead,
          "`gpuctl kill --job ID` finishes one; so does the next `gpuctl run` of this user"};
}

}  // namespace

std::vector<Check> gpu_checks(const Context& context) {
  const Result<HostFs> fs = context.open_root();
  const Result<gpu::Inventory> inventory = fs ? discover(context, *fs) : fail(fs.error());
  if (!inventory)
    return {{"gpu", CheckStatus::fail, inventory.error().message(), "gpuctl needs sysfs"}};
  std::vector<Check> checks;
  if (inventory->gpus.empty())
    checks.push_back({"gpu", CheckStatus::skip, "no GPU on this node", ""});
  for (const gpu::Gpu& each : inventory->gpus) checks.push_back(judge_gpu(each));
  for (const gpu::Problem& each : inventory->problems)
    checks.push_back({"gpu.unreadable", CheckStatus::warn, each.error.message(),
                      "`gpuctl capture` records it for a report"});
  return checks;
}

std::vector<Check> cgroup_checks(const Context& context, const HostFs& live) {
  std::vector<Check> checks;
  const Result<cgroup::Place> place = cgroup::find_place(live);
  if (place) {
    checks.push_back(
        {"cgroup.delegation", CheckStatus::pass, "jobs get groups in `" + place->path + "`", ""});
    checks.push_back(judge_controllers(*place));
  } else {
    checks.push_back(
        {"cgroup.delegation", CheckStatus::warn, place.error().message(),
         "`Delegate=yes` for the unit that starts gpuctl, or a lingering user manager"});
    checks.push_back({"cgroup.controllers", CheckStatus::skip, "no place for groups", ""});
  }
  checks.push_back(judge_lingering(context, live));
  return checks;
}

std::vector<Check> state_checks(const Context& context) {
  const std::string path = state_place(context.config.text("state_dir"));
  const Result<Fd> state = open_state(context.config.text("state_dir"));
  if (!state) {
    return {{"state.directory", CheckStatus::fail, state.error().message(),
             "name a local directory of this node with `--state-dir`, or make /run/gpuctl"}};
  }
  std::vector<Check> checks = {{"state.directory", CheckStatus::pass, path, ""}};
  const Result<HostFs> live = HostFs::open("/");
  const Result<HostFs> hardware = context.open_root();
  if (live) checks.push_back(judge_scope(*live));
  if (hardware) checks.push_back(judge_ledger(context, *hardware));
  checks.push_back(judge_jobs(context));
  return checks;
}

}  // namespace gpuctl::app
