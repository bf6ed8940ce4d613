// What the fence and the containers can be made of here.
#include <array>

#include "doctor.hpp"

namespace gpuctl::app {
namespace {

struct Remedy {
  const char* capability;
  const char* id;
  CheckStatus without;  // what it means not to have it
  const char* words;
};

constexpr std::array<Remedy, 9> kFence = {{
    {"user_namespace", "fence.user_namespace", CheckStatus::warn,
     "set `user.max_user_namespaces` above 0, and `kernel.apparmor_restrict_unprivileged_userns` "
     "or `kernel.unprivileged_userns_clone` so that users may make them"},
    {"pid_namespace", "fence.pid_namespace", CheckStatus::warn,
     "allow unprivileged user namespaces; in a container, do not mask parts of its /proc"},
    {"private_dev", "fence.private_dev", CheckStatus::warn,
     "allow unprivileged user namespaces: then each job gets a /dev of its own"},
    {"landlock_files", "fence.landlock_files", CheckStatus::warn,
     "a kernel from 5.13 on with `landlock` in `lsm=` of its command line"},
    {"landlock_signals", "fence.landlock_signals", CheckStatus::skip,
     "a kernel from 6.12 on; only needed where there are no namespaces"},
    {"seccomp", "fence.seccomp", CheckStatus::warn, "a kernel with CONFIG_SECCOMP_FILTER"},
    {"device_filter", "fence.device_filter", CheckStatus::skip,
     "only root can have it, on a cgroup v2 hierarchy"},
    {"own_user", "fence.own_user", CheckStatus::skip, ""},
    {"setuid_programs", "fence.setuid_programs", CheckStatus::skip,
     "a job that needs them: `--process-fence session --fence advisory`; Apptainer without setuid "
     "works behind the full fence"},
}};

constexpr std::array<Remedy, 3> kContainers = {{
    {"bubblewrap", "container.bubblewrap", CheckStatus::skip, "install bubblewrap"},
    {"podman", "container.podman", CheckStatus::warn,
     "`podman info` says what it lacks: /etc/subuid and /etc/subgid for this user, newuidmap, "
     "XDG_RUNTIME_DIR"},
    {"apptainer", "container.apptainer", CheckStatus::warn,
     "`apptainer -d exec` says what it lacks: user namespaces, or its setuid starter"},
}};

Check judge(const Remedy& remedy, const fence::Capabilities& capabilities) {
  const fence::Capability* found = fence::find(capabilities, remedy.capability);
  if (found == nullptr) return {remedy.id, CheckStatus::skip, "nobody asked", ""};
  if (found->has) {
    const std::string behind = found->detail.empty() ? "" : " (" + found->detail + ")";
    return {remedy.id, CheckStatus::pass, found->what + behind, ""};
  }
  return {remedy.id, remedy.without, found->detail, remedy.words};
}

bool has(const fence::Capabilities& capabilities, const char* name) {
  const fence::Capability* found = fence::find(capabilities, name);
  return found != nullptr && found->has;
}

Check judge_level(const Context& context, const ChosenFence& chosen) {
  const std::string demanded = *context.config.text("fence");
  Check check{
      "fence.level", CheckStatus::pass,
      "processes: " + chosen.process + "; devices: " + chosen.device + "; demanded: " + demanded,
      ""};
  if (chosen.device != "advisory") return check;
  check.status = demanded == "advisory" ? CheckStatus::warn : CheckStatus::fail;
  check.remedy =
      demanded == "strict"
          ? "no job starts here: one of private_dev, landlock, device_filter is needed"
          : "jobs with GPUs start only where the batch system's own filter holds: one of "
            "private_dev, landlock, device_filter is needed";
  return check;
}

}  // namespace

ChosenFence choose_fence(const fence::Capabilities& capabilities) {
  ChosenFence chosen{"session", "advisory"};
  if (has(capabilities, "pid_namespace")) chosen.process = "pid_namespace";
  if (has(capabilities, "device_filter")) chosen.device = "device_filter";
  if (has(capabilities, "landlock_files")) chosen.device = "landlock";
  if (has(capabilities, "private_dev")) chosen.device = "private_dev";
  return chosen;
}

std::vector<Check> fence_checks(const Context& context, const fence::Capabilities& capabilities) {
  std::vector<Check> checks = {judge_level(context, choose_fence(capabilities))};
  for (const Remedy& each : kFence) checks.push_back(judge(each, capabilities));
  return checks;
}

std::vector<Check> container_checks(const fence::Capabilities& capabilities) {
  std::vector<Check> checks;
  for (const Remedy& each : kContainers) {
    Check check = judge(each, capabilities);
    // not to have one is a site's choice, not to be able to start it is a fault
    if (check.detail.find("not installed") != std::string::npos)
      check = {check.id, CheckStatus::skip, check.detail, ""};
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace gpuctl::app
