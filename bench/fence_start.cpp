// The fence and nothing else: `fence_start RUNG COMMAND…` starts COMMAND behind it, waits, and ends as it did. RUNG is
// private_dev, landlock (both in namespaces) or session (Landlock and seccomp). No records, no report.
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstring>

#include "gpuctl/fence/spawn.hpp"

using namespace gpuctl;

int main(int argc, char** argv) {
  if (argc < 3) return 98;
  fence::SpawnRequest request;
  request.argv.assign(argv + 2, argv + argc);
  for (char** entry = environ; *entry != nullptr; ++entry) request.environment.emplace_back(*entry);
  const Result<HostFs> fs = HostFs::open("/");
  Result<fence::DevicePlan> devices = fence::plan_devices(*fs, {});
  if (!devices) return 97;
  const bool session = std::strcmp(argv[1], "session") == 0;
  // a machine without GPUs: something to refuse all the same, that is not there
  if (std::strcmp(argv[1], "private_dev") != 0) devices->refused.push_back("/dev/nvidia0");
  if (session) request.strongest = fence::ProcessFence::session;
  if (std::strcmp(argv[1], "private_dev") != 0) request.strongest_device = fence::DeviceFence::landlock;
  request.devices = &*devices;
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  Result<fence::Child> child = fence::spawn(request);
  const char* got = child ? fence::name_of(child->device) : "nothing";
  const char* wanted = session ? "landlock" : argv[1];
  if (!child || std::strcmp(got, wanted) != 0 || !child->proof.holds || !fence::release(*child))
    return std::fprintf(stderr, "fence_start: %s instead of %s\n", got, wanted), 99;
  int status = 0;
  ::waitpid(child->pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
