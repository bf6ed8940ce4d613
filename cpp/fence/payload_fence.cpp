#include "payload_fence.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

#include "channel.hpp"
#include "device_filter.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/fence/restrict.hpp"
#include "gpuctl/proc/stat.hpp"
#include "privileges.hpp"

namespace gpuctl::fence::internal {
namespace {

Fenced failed(std::string words, int errno_value = 0) {
  Fenced fenced;
  fenced.failed = std::move(words);
  fenced.errno_value = errno_value;
  return fenced;
}

// Whoever made us, and whoever stands above it: the supervisor, the pilot, the batch system's own.
std::vector<pid_t> those_above() {
  constexpr std::size_t kMost = 64;
  std::vector<pid_t> pids;
  const Result<HostFs> fs = HostFs::open("/");
  for (pid_t pid = ::getppid(); pid > 1 && pids.size() < kMost;) {
    pids.push_back(pid);
    const Result<proc::Stat> stat = fs ? proc::read_stat(*fs, pid) : fail(fs.error());
    pid = stat ? stat->ppid : 0;
  }
  return pids;
}

// A pid namespace keeps signals in; outside of one it is Landlock's scope and the filter that do.
Restrictions restrictions_for(const SpawnRequest& request, const Attempt& attempt) {
  Restrictions wanted;
  const bool bare = !attempt.has_init();
  wanted.scope_signals = bare;
  wanted.seccomp = bare;
  wanted.landlock = bare || attempt.device == DeviceFence::landlock;
  if (attempt.device == DeviceFence::landlock) wanted.refused_nodes = request.devices->refused;
  if (bare) wanted.protected_pids = those_above();
  return wanted;
}

Result<std::int32_t> take_from_self(const SpawnRequest& request, const Attempt& attempt) {
  const Restrictions wanted = restrictions_for(request, attempt);
  const bool anything = wanted.landlock || wanted.seccomp;
  if (attempt.fence == ProcessFence::runtime || !request.restrict || !anything) return 0;
  const Result<Restricted> done = restrict_self(wanted);
  if (!done) return fail(done.error());
  std::int32_t flags = 0;
  if (done->landlock || done->scopes_signals) flags |= landlock_on;
  if (done->seccomp) flags |= seccomp_on;
  if (done->scopes_signals) flags |= signals_scoped;
  return flags;
}

bool is_directory(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

void open_anew(int fd) {
  std::array<char, PATH_MAX> path{};
  const std::string link = std::string(host_paths::kLiveSelfFd) + "/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size() - 1);
  int fresh = length <= 0 ? -1 : ::open(path.data(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fresh < 0) fresh = ::open(host_paths::kLiveNull, O_RDWR | O_CLOEXEC);
  ::dup2(fresh, fd);
  ::close(fresh);
}

bool is_same(int fd, const char* path) {
  struct stat there{};
  struct stat wanted{};
  return ::stat(path, &there) == 0 && ::fstat(fd, &wanted) == 0 && there.st_dev == wanted.st_dev &&
         there.st_ino == wanted.st_ino;
}

}  // namespace

const char* go_to_directory(const SpawnRequest& request, const Attempt& attempt) {
  if (!attempt.has_init())
    return request.directory_fd < 0 || ::fchdir(request.directory_fd) == 0
               ? nullptr
               : "go to the work directory";
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (is_directory(fd)) open_anew(fd);
  }
  if (request.directory_fd < 0) return nullptr;
  if (::chdir(request.directory.c_str()) != 0) return "go to the work directory";
  if (is_same(request.directory_fd, ".")) return nullptr;
  errno = ENOTDIR;
  return "find the work directory under its name";
}

ProofPaths proof_paths(const DevicePlan& plan, DeviceFence device) {
  ProofPaths paths;
  for (const DeviceNode& node : plan.given) {
    paths.own.push_back(device == DeviceFence::private_dev ? host_paths::kDevNodes + node.name
                                                           : node.host_path);
  }
  for (const std::string& path : plan.refused) {
    if (device != DeviceFence::advisory || is_of_one_gpu(path)) paths.others.push_back(path);
  }
  return paths;
}

Fenced fence_payload(const SpawnRequest& request, const Attempt& attempt) {
  if (attempt.fence != ProcessFence::runtime && (attempt.has_init() || request.restrict)) {
    const bool in_user_namespace = (attempt.flags & CLONE_NEWUSER) != 0;
    leave_session_keyring();
    if (const char* step = drop_capabilities(in_user_namespace)) return failed(step, errno);
  }
  const Result<std::int32_t> taken = take_from_self(request, attempt);
  if (!taken) return failed(taken.error().message());
  Fenced fenced;
  fenced.flags = *taken;
  if (request.devices == nullptr) return fenced;
  if (attempt.device == DeviceFence::device_filter) try_to_detach_device_filter(request.cgroup_fd);
  const ProofPaths paths = proof_paths(*request.devices, attempt.device);
  const DeviceProof proof = prove_devices(paths.own, paths.others);
  if (proof.holds) {
    fenced.flags |= devices_proven;
  } else if (attempt.device != DeviceFence::advisory) {
    return failed(proof.failure);
  }
  fenced.note = proof.failure;
  return fenced;
}

}  // namespace gpuctl::fence::internal
