#include "fence.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>

#include "gpuctl/base/host_paths.hpp"

namespace gpuctl::job {
namespace {

using fence::DeviceFence;
using fence::ProcessFence;

const char* name_of(FenceDemand demand) {
  switch (demand) {
    case FenceDemand::advisory: return "advisory";
    case FenceDemand::best: return "best";
    case FenceDemand::strict: return "strict";
  }
  return "best";
}

// Whoever asks for a session and no more than advice wants setuid programs to work: nothing is taken then.
bool leaves_setuid_programs(const Spec& spec) {
  return spec.fence_demand == FenceDemand::advisory &&
         spec.strongest_fence != ProcessFence::pid_namespace;
}

bool is_in(const std::string& path, const std::string& directory) {
  return path.compare(0, directory.size(), directory) == 0 &&
         (path.size() == directory.size() || path[directory.size()] == '/');
}

// Where the payload begins: hiding that would put it into an empty directory.
std::string first_directory(const Run& run) {
  if (run.workdir) return run.workdir->path();
  std::array<char, PATH_MAX> here{};
  return ::getcwd(here.data(), here.size()) == nullptr ? "" : here.data();
}

// The state directory with its sockets, those that other gpuctls of this user have where they were told of none, and
// whoever starts processes for this user outside: systemd, container engines.
std::vector<std::string> places_to_hide(const Run& run) {
  std::vector<std::string> places = {run.state->path()};
  for (const char* usual : {host_paths::kLiveRunState, host_paths::kLiveShmState}) {
    if (run.state->path() != usual) places.emplace_back(usual);
  }
  places.push_back(host_paths::kLiveRunUser + std::to_string(::getuid()));
  for (const char* socket : {host_paths::kLiveDockerSocket, host_paths::kLivePodmanSocket,
                             host_paths::kLiveContainerdSocket, host_paths::kLiveCrioSocket})
    places.emplace_back(socket);
  if (::getuid() == 0) {
    places.emplace_back(host_paths::kLiveSystemBus);
    places.emplace_back(host_paths::kLiveSystemdSocket);
  }
  return places;
}

// A container's fence is put up inside it, by the entry program, which starts nothing where less holds than it was told.
bool is_left_to_the_entry(const Spec& spec) {
  if (spec.strongest_fence != ProcessFence::runtime) return false;
  if (spec.fence_inside) return true;
  const auto end = spec.argv.end();
  auto word = std::find(spec.argv.begin(), end, "fence-entry");
  if (word == end) return false;
  const auto flags_end = std::find(word, end, "--");
  const std::string level = std::string("--fence=") + name_of(spec.fence_demand);
  return std::find(word, flags_end, level) != flags_end;
}

std::string strict_needs(const fence::Child& child) {
  std::string words = "the site demands `strict`, a device fence that the kernel enforces, and ";
  if (child.device == DeviceFence::advisory && child.proof.failure.empty())
    return words + "none can be had here";
  return words + child.proof.failure;
}

}  // namespace

void want_fence(Run& run, fence::SpawnRequest& request) {
  const Spec& spec = run.spec;
  request.strongest = spec.strongest_fence;
  if (spec.devices) request.devices = &*spec.devices;
  request.restrict = !leaves_setuid_programs(spec);
  if (!request.restrict) request.strongest_device = DeviceFence::advisory;
  if (spec.strongest_fence != ProcessFence::pid_namespace) return;
  if (run.given && run.given->lease_file) request.shown.push_back(*run.given->lease_file);
  const std::string here = first_directory(run);
  for (std::string& place : places_to_hide(run)) {
    if (is_in(here, place)) {
      run.report.fence.notes.push_back("`" + place + "` is visible to it: it begins in there");
    } else {
      request.hidden.push_back(std::move(place));
    }
  }
}

void note_fence(Run& run) {
  const fence::Child& child = *run.child;
  FenceReport& report = run.report.fence;
  report.process = fence::name_of(child.fence);
  report.device = fence::name_of(child.device);
  report.proof = child.proof;
  report.landlock = child.has_landlock;
  report.seccomp = child.has_seccomp;
  report.signals_kept_in = child.fence == ProcessFence::pid_namespace || child.scopes_signals;
  report.notes.insert(report.notes.end(), child.notes.begin(), child.notes.end());
}

bool fence_is_enough(Run& run) {
  const fence::Child& child = *run.child;
  const bool proven = child.proof.holds;
  run.report.fence.demanded = name_of(run.spec.fence_demand);
  if (is_left_to_the_entry(run.spec)) return true;
  if (run.spec.fence_demand == FenceDemand::strict &&
      (!proven || child.device == DeviceFence::advisory))
    return never_started(run, "FENCE", strict_needs(child));
  const bool must_hold = run.spec.fence_demand == FenceDemand::best && run.given;
  if (!must_hold || proven) return true;
  std::string words = "no device fence holds: " + child.proof.failure;
  for (const std::string& note : child.notes) words += "; " + note;
  return never_started(run, "FENCE", words + " (`--fence advisory` would run it)");
}

}  // namespace gpuctl::job
