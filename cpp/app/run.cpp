#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gpu_request.hpp"
#include "gpuctl/base/close_on_exec.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/variables.hpp"
#include "gpuctl/fence/credentials.hpp"
#include "gpuctl/fence/device_fence.hpp"
#include "gpuctl/fence/masks.hpp"
#include "gpuctl/job/supervisor.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

constexpr Usec kMaxForcedKillTimeout = 600 * kUsecPerSec;

Failure usage(const std::string& detail) {
  return fail(ErrorCode::usage, "", detail + "; see `gpuctl run --help`");
}

// The payload's environment: ours without gpuctl's own settings, which are not its business, nor the pilot's credentials.
std::vector<std::string> inherited(const Environment& environment) {
  std::vector<std::string> entries;
  for (const std::string& entry : environment.entries) {
    if (entry.compare(0, 7, "GPUCTL_") != 0) entries.push_back(entry);
  }
  return entries;
}

Result<void> add_variables(const Invocation& invocation, std::vector<std::string>& entries) {
  for (const std::string& entry : invocation.all("env")) {
    const std::size_t equals = entry.find('=');
    if (equals == 0 || equals == std::string::npos)
      return usage("`--env " + printable(entry) + "`: expected NAME=VALUE");
    const std::string name = entry.substr(0, equals);
    set_variable(entries, name, "");
    entries.push_back(entry);
  }
  return {};
}

// A payload that gets no GPU is told so: what the slot's masks say is not for it.
Result<void> add_gpus(const Context& context, job::Spec& spec) {
  Result<std::optional<job::GpuOrder>> order = gpu_order(context);
  if (!order) return fail(order.error());
  spec.gpus = std::move(*order);
  if (spec.gpus) return {};
  const Result<HostFs> fs = context.open_root();
  if (!fs) return fail(fs.error());
  Result<fence::DevicePlan> devices = fence::plan_devices(*fs, {});
  if (!devices) return fail(devices.error());
  spec.devices = std::move(*devices);
  for (const auto& [name, value] : fence::mask_variables({}, {}))
    set_variable(spec.environment, name, value);
  return {};
}

// "fd:N", or a file that is appended to.
Result<Fd> open_events(const std::optional<std::string>& where) {
  if (!where) return Fd();
  // O_NONBLOCK: a FIFO that nobody reads is an error, not a controller that never starts.
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK;
  if (where->compare(0, 3, "fd:") != 0) return open_at(AT_FDCWD, *where, kFlags, 0644);
  const Result<std::uint64_t> number =
      parse_unsigned(where->substr(3), "`--events fd:N`", 10, 1 << 20);
  if (!number) return fail(number.error());
  const int fd = static_cast<int>(*number);
  if (fd <= STDERR_FILENO || ::fcntl(fd, F_GETFD) < 0)
    return usage("`--events " + *where + "`: not an open descriptor above 2");
  return Fd(fd);
}

std::string absolute(const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  char here[4096];
  if (::getcwd(here, sizeof here) == nullptr) return path;
  return std::string(here) + "/" + path;
}

// GlobalJobId = "host#1.0#1692475573" from the job ad that HTCondor leaves beside its job.
std::optional<std::string> condor_job_id(const Environment& environment) {
  const std::optional<std::string> ad_path = environment.find("_CONDOR_JOB_AD");
  if (!ad_path) return std::nullopt;
  const Result<Fd> fd = open_at(AT_FDCWD, *ad_path, O_RDONLY | O_NONBLOCK);
  if (!fd) return std::nullopt;
  const Result<std::string> ad = read_all(fd->get(), std::size_t{4} << 20, *ad_path);
  if (!ad) return std::nullopt;
  for (const std::string_view line : split(*ad, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos || to_lower(trim(line.substr(0, equals))) != "globaljobid")
      continue;
    const std::string_view value = trim(line.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      return std::string(value.substr(1, value.size() - 2));
  }
  return std::nullopt;
}

Result<void> add_times(const Context& context, job::Spec& spec) {
  spec.ttl = context.config.duration_usec("ttl");
  spec.forced_kill_timeout = *context.config.duration_usec("forced_kill_timeout");
  spec.outer_grace = *context.config.duration_usec("outer_grace");
  if (spec.forced_kill_timeout > kMaxForcedKillTimeout)
    return usage("`forced-kill-timeout`: at most 600s");
  if (spec.ttl && *spec.ttl == 0) return usage("`ttl`: 0 would end the payload before it starts");
  return {};
}

Result<void> add_fence(const Context& context, job::Spec& spec) {
  const std::string demand = *context.config.text("fence");
  spec.fence_inside = context.invocation.has("fence-inside");
  spec.fence_demand = demand == "strict"     ? job::FenceDemand::strict
                      : demand == "advisory" ? job::FenceDemand::advisory
                                             : job::FenceDemand::best;
  const std::string kind = context.invocation.last("process-fence").value_or("pid_namespace");
  const std::optional<fence::ProcessFence> found = fence::find_process_fence(kind);
  if (!found)
    return usage("`--process-fence`: pid_namespace, session or runtime, got `" + printable(kind) +
                 "`");
  spec.strongest_fence = *found;
  return {};
}

// "2", "0.5" -> thousandths.
Result<std::uint64_t> parse_cpus(const std::string& text) {
  const std::size_t dot = std::min(text.find('.'), text.size());
  std::string fraction = dot < text.size() ? text.substr(dot + 1) : "0";
  fraction.resize(std::max<std::size_t>(fraction.size(), 3), '0');
  const Result<std::uint64_t> whole = parse_unsigned(text.substr(0, dot), "", 10, 1'000'000);
  const Result<std::uint64_t> parts = parse_unsigned(fraction, "", 10, 999);
  if (whole && parts && *whole * 1000 + *parts > 0) return *whole * 1000 + *parts;
  return usage("`--cpus " + printable(text) + "`: expected a number such as 2 or 0.5");
}

void add_margins(const Config& config, job::Spec& spec) {
  spec.preempt = cgroup::find_policy(*config.text("preempt"));  // never: nullopt
  spec.margins.slot_bytes_per_core = *config.size_bytes("slot_margin");
  spec.margins.swap_bytes = *config.size_bytes("swap_margin");
  spec.margins.machine_bytes = *config.size_bytes("machine_margin");
  spec.margins.spared_bytes_per_core = *config.size_bytes("spared_memory");
}

Result<void> add_limits(const Invocation& invocation, job::Spec& spec) {
  spec.cgroups = !invocation.has("no-cgroups");
  if (const std::optional<std::string> memory = invocation.last("memory")) {
    const Result<std::uint64_t> bytes = parse_jalien_size_bytes(*memory, "`--memory`");
    if (!bytes) return usage(bytes.error().detail);
    spec.limits.memory_bytes = *bytes;
  }
  if (const std::optional<std::string> cpus = invocation.last("cpus")) {
    const Result<std::uint64_t> millis = parse_cpus(*cpus);
    if (!millis) return fail(millis.error());
    spec.limits.cpu_millis = *millis;
  }
  if (const std::optional<std::string> pids = invocation.last("pids")) {
    const Result<std::uint64_t> number = parse_unsigned(*pids, "`--pids`", 10, 4'194'304);
    if (!number || *number == 0)
      return usage("`--pids " + printable(*pids) + "`: expected a number");
    spec.limits.pids = *number;
  }
  return {};
}

void add_bus(const Context& context, job::Spec& spec) {
  const Environment& environment = context.environment;
  spec.leave_slot = *context.config.text("leave_slot") == "never" ? cgroup::LeaveSetting::never
                                                                  : cgroup::LeaveSetting::automatic;
  spec.bus.session_address = environment.find("DBUS_SESSION_BUS_ADDRESS");
  spec.bus.runtime_dir = environment.find("XDG_RUNTIME_DIR");
  spec.bus.path = environment.find("PATH").value_or("");
}

Result<void> add_identity(const Invocation& invocation, job::Spec& spec) {
  if (const std::optional<std::string> given = invocation.last("job")) {
    Result<std::string> id = parse_job_id(*given);
    if (!id) return fail(id.error());
    spec.id = std::move(*id);
  }
  const Result<std::uint64_t> resubmission = parse_unsigned(
      invocation.last("resubmission").value_or("0"), "`--resubmission`", 10, 1'000'000);
  if (!resubmission) return fail(resubmission.error());
  spec.resubmission = static_cast<unsigned>(*resubmission);
  return {};
}

Result<void> add_places(const Context& context, job::Spec& spec) {
  const Invocation& invocation = context.invocation;
  spec.state_dir = context.config.text("state_dir");
  if (context.root() != "/" && !spec.state_dir) {
    return usage(
        "`--root` needs `--state-dir`: a job on stand-in hardware is not recorded among the real "
        "ones");
  }
  if (const std::optional<std::string> parent = context.config.text("workdir"))
    spec.workdir_parent = absolute(*parent);
  for (const char* flag : {"input", "output", "report", "report-copy", "events"}) {
    const std::vector<std::string> given = invocation.all(flag);
    if (std::find(given.begin(), given.end(), "") != given.end())
      return usage(std::string("`--") + flag + "`: expected a path, got nothing");
  }
  spec.inputs = invocation.all("input");
  spec.keep = invocation.all("keep");
  spec.capture_output = invocation.has("capture-output");
  if (const std::optional<std::string> output = invocation.last("output"))
    spec.output_dir = absolute(*output);
  if (const std::optional<std::string> report = invocation.last("report"))
    spec.report_path = absolute(*report);
  if (const std::optional<std::string> copy = invocation.last("report-copy"))
    spec.report_copy_path = absolute(*copy);
  const bool needs_workdir =
      spec.capture_output || !spec.keep.empty() || !spec.inputs.empty() || spec.output_dir;
  if (needs_workdir && !spec.workdir_parent)
    return usage("`--input`, `--keep`, `--output` and `--capture-output` need `--workdir`");
  return {};
}

Result<job::Spec> make_spec(const Context& context) {
  job::Spec spec;
  spec.argv = context.invocation.operands;
  if (spec.argv.empty() || spec.argv[0].empty()) return usage("no command to run");
  spec.environment = inherited(context.environment);
  spec.withheld = fence::withhold_credentials(spec.environment);
  add_margins(context.config, spec);
  spec.die_with_parent = context.invocation.has("die-with-parent");
  add_bus(context, spec);
  spec.batch = {context.environment.find("SLURM_JOB_ID"), condor_job_id(context.environment)};
  for (const auto& step :
       {add_times(context, spec), add_limits(context.invocation, spec), add_fence(context, spec),
        add_identity(context.invocation, spec), add_places(context, spec), add_gpus(context, spec),
        add_variables(context.invocation, spec.environment)}) {
    if (!step) return fail(step.error());
  }
  Result<Fd> events = open_events(context.invocation.last("events"));
  if (!events) return fail(std::move(events).error());
  spec.events = std::move(*events);
  return spec;
}

// A program that watches the events learns of it there, since there is no report of a job that was not accepted.
int refuse(const Context& context, const Error& error) {
  const bool callers_fault = error.code == ErrorCode::usage || error.code == ErrorCode::malformed;
  const Result<Fd> events = open_events(context.invocation.last("events"));
  if (events && events->get() >= 0) {
    const Json event = {{"event", "error"},
                        {"at", format_rfc3339(realtime_usec())},
                        {"code", name_of(error.code)},
                        {"text", error.message()}};
    static_cast<void>(
        write_all(events->get(), to_line(event), "events").has_value());  // nobody to tell
  }
  return complain(error, callers_fault ? 2 : 125);
}

}  // namespace

int run_run(const Context& context) {
  close_on_exec_all();
  Result<job::Spec> spec = make_spec(context);
  if (!spec) return refuse(context, spec.error());
  StderrLog log(context.quiet);
  return job::supervise(std::move(*spec), &log).exit_code;
}

// The same supervisor with the lightest of fences: the proof of the end is what gives the GPUs back.
int run_held(const Context& context) {
  close_on_exec_all();
  Result<job::Spec> spec = make_spec(context);
  if (!spec) return complain(spec.error(), 2);
  if (!spec->gpus) {
    Result<job::GpuOrder> any = plain_order(context);
    if (!any) return complain(any.error(), 2);
    spec->gpus = std::move(*any);
  }
  spec->cgroups = false;
  spec->strongest_fence = fence::ProcessFence::session;
  spec->fence_demand = job::FenceDemand::advisory;
  StderrLog log(context.quiet);
  return job::supervise(std::move(*spec), &log).exit_code;
}

}  // namespace gpuctl::app
