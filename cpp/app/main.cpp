// gpuctl: the command line. Everything that decides lives in the rooms; here it is read, called and printed.
#include <fcntl.h>
#include <unistd.h>

#include <exception>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/without.hpp"
#include "help.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

// A caller may have closed 0, 1 or 2; a file opened there would be taken for stdin or stdout.
void keep_standard_descriptors() {
  int fd = 0;
  do {
    fd = ::open(host_paths::kLiveNull, O_RDWR);
  } while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd > STDERR_FILENO) ::close(fd);
}

int print_version(const Invocation& invocation) {
  if (!invocation.has("json")) return print("gpuctl " GPUCTL_VERSION "\n", 0);
  return print(to_text({{"schema", "gpuctl.version/1"}, {"version", GPUCTL_VERSION}}), 0);
}

int dispatch(const Context& context) {
  const std::string verb = context.invocation.verb->name;
  if (verb == "discover") return run_discover(context);
  if (verb == "run") return run_run(context);
  if (verb == "status") return run_status(context);
  if (verb == "reserve") return run_reserve(context);
  if (verb == "release") return run_release(context);
  if (verb == "drain") return run_drain(context);
  if (verb == "undrain") return run_undrain(context);
  if (verb == "tree") return run_tree(context);
  if (verb == "kill") return run_kill(context);
  if (verb == "cgroup") return run_cgroup(context);
  if (verb == "container-init") return run_container_init(context);
  if (verb == "export") return run_export(context);
  if (verb == "capture") return run_capture(context);
  if (verb == "doctor") return run_doctor(context);
  if (verb == "fence-entry") return run_fence_entry(context);
  return run_config(context);
}

// Not a setting: only tests have a reason for it, so it stands in no table (base/without.hpp).
Result<void> take_test_switches(const Environment& environment) {
  const Result<Without> chosen =
      parse_without(environment.find("GPUCTL_TEST_WITHOUT").value_or(""));
  if (!chosen) return fail(chosen.error());
  set_without(*chosen);
  return {};
}

int start(int argc, char** argv) {
  Environment environment = read_environment(environ);
  if (Result<void> taken = take_test_switches(environment); !taken)
    return complain(taken.error(), 2);
  Result<Invocation> invocation = parse_command_line(argc, argv);
  if (!invocation) return complain(invocation.error(), 2);
  if (invocation->has("version")) return print_version(*invocation);
  if (invocation->verb == nullptr) {
    if (invocation->has("help")) return print(help_text(), 0);
    complain("no verb\n\n" + help_text());
    return 2;
  }
  if (std::string(invocation->verb->name) == "help") return run_help(*invocation);
  if (invocation->has("help")) return print(help_text(*invocation->verb), 0);
  if (invocation->verb->in_python) return exec_python_verb(*invocation);
  Result<Context> context = make_context(std::move(*invocation), std::move(environment));
  if (!context) return complain(context.error(), 2);
  return dispatch(*context);
}

}  // namespace
}  // namespace gpuctl::app

int main(int argc, char** argv) {
  gpuctl::app::keep_standard_descriptors();
  try {
    return gpuctl::app::start(argc, argv);
  } catch (
      const std::exception& error) {  // out of memory, or a bug: never a stack trace for the user
    gpuctl::app::complain(std::string("internal error: ") + error.what());
    return 3;
  }
}
