#include "gpuctl/fence/device_fence.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <set>
#include <string_view>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/mig.hpp"

namespace gpuctl::fence {
namespace {

// Of NVIDIA (nvidia0, nvidiactl, nvidia-uvm, nvidia-caps/…), all DRM, AMD's KFD, compute accelerators (accel/accel0), Hyper-V.
constexpr std::array<std::string_view, 5> kGpuNames = {"nvidia", "dri", "kfd", "accel", "dxg"};

// Omni-Path, Slingshot, InfiniPath, shared memory over processes.
constexpr std::array<std::string_view, 5> kInterconnectNames = {"hfi1_", "cxi", "ipath", "knem",
                                                                "xpmem"};

template <std::size_t N>
bool begins_with_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view each) { return name.substr(0, each.size()) == each; });
}

struct Nodes {
  std::vector<std::string> of_gpus;
  std::vector<std::string> of_interconnects;
};

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// `below`: the directory's name in /dev, with a slash behind it; empty: /dev itself.
Result<void> look_in(const std::string& dev, const std::string& below, Nodes& found) {
  const std::string path = dev + "/" + below;
  const std::unique_ptr<DIR, CloseDir> dir(::opendir(path.c_str()));
  if (!dir && errno == ENOENT) return {};
  if (!dir) return fail_errno(errno, path, "cannot list the device nodes");
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (below.empty() && begins_with_one_of(kInterconnectNames, name))
      found.of_interconnects.push_back(name);
    if (below.empty() && !begins_with_one_of(kGpuNames, name)) continue;
    struct stat status{};
    if (::fstatat(::dirfd(dir.get()), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISCHR(status.st_mode)) found.of_gpus.push_back(below + name);
    if (S_ISDIR(status.st_mode) && below.empty()) {
      if (Result<void> done = look_in(dev, name + "/", found); !done) return done;
    }
  }
  return {};
}

std::string live_dev() { return std::string("/") + host_paths::kDev; }

// Links resolved, as the kernel will see it; nullopt: the stand-in node has no device nodes.
std::optional<std::string> stand_in_dev(const HostFs& fs) {
  char resolved[PATH_MAX];
  const std::string path = fs.root() + "/" + host_paths::kDev;
  if (::realpath(path.c_str(), resolved) == nullptr) return std::nullopt;
  return resolved;
}

std::set<std::string> names_of(const std::vector<gpu::Gpu>& assigned) {
  const std::size_t prefix = std::string_view(host_paths::kDevNodes).size();
  std::set<std::string> names;
  for (const gpu::Gpu& gpu : assigned) {
    for (const std::string& node : gpu.device_nodes) names.insert(node.substr(prefix));
    for (const std::string& node : gpu.shared_nodes) names.insert(node.substr(prefix));
  }
  return names;
}

Result<Nodes> nodes_in(const std::string& dev) {
  Nodes found;
  if (Result<void> done = look_in(dev, "", found); !done) return fail(done.error());
  std::sort(found.of_gpus.begin(), found.of_gpus.end());
  return found;
}

Result<void> refuse_others(const std::string& dev, const std::set<std::string>& given,
                           DevicePlan& plan) {
  Result<Nodes> nodes = nodes_in(dev);
  if (!nodes) return fail(nodes.error());
  for (const std::string& name : nodes->of_gpus) {
    if (given.count(name) == 0) plan.refused.push_back(dev + "/" + name);
  }
  if (dev == live_dev()) plan.interconnects = std::move(nodes->of_interconnects);
  return {};
}

constexpr std::array<std::string_view, 9> kSharedNames = {
    "nvidiactl",      "nvidia-uvm",    "nvidia-uvm-tools",
    "nvidia-modeset", "nvidia-nvlink", "nvidia-nvswitchctl",
    "nvidia-vgpuctl", "kfd",           "dxg"};

bool is_refusal(int error) {
  return error == EPERM || error == EACCES || error == ENOENT || error == ENOTDIR || error == ELOOP;
}

// 0 when it opens, or its driver answered.
int refusal_of(const std::string& path, int mode) {
  const int fd = ::open(path.c_str(), mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return is_refusal(errno) ? errno : 0;
  ::close(fd);
  return 0;
}

}  // namespace

const char* name_of(DeviceFence fence) {
  switch (fence) {
    case DeviceFence::advisory: return "advisory";
    case DeviceFence::slot: return "slot";
    case DeviceFence::device_filter: return "device_filter";
    case DeviceFence::landlock: return "landlock";
    case DeviceFence::private_dev: return "private_dev";
  }
  return "advisory";
}

bool is_of_one_gpu(const std::string& path) {
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  return std::find(kSharedNames.begin(), kSharedNames.end(), name) == kSharedNames.end();
}

Result<std::vector<std::string>> gpu_nodes_in(const std::string& dev) {
  Result<Nodes> found = nodes_in(dev);
  if (!found) return fail(found.error());
  return std::move(found->of_gpus);
}

Result<DevicePlan> plan_devices(const HostFs& fs, const std::vector<gpu::Gpu>& assigned) {
  DevicePlan plan;
  const std::set<std::string> wanted = names_of(assigned);
  std::optional<std::string> dev = live_dev();
  if (!fs.is_live()) dev = stand_in_dev(fs);
  if (dev) {
    for (const std::string& name : wanted) plan.given.push_back({name, *dev + "/" + name});
    if (Result<void> done = refuse_others(*dev, wanted, plan); !done) return fail(done.error());
  }
  if (!fs.is_live()) {
    plan.stand_in_dev = dev.value_or("");
    if (Result<void> done = refuse_others(live_dev(), {}, plan); !done) return fail(done.error());
  }
  return plan;
}

DeviceProof prove_devices(const std::vector<std::string>& own,
                          const std::vector<std::string>& others) {
  DeviceProof proof;
  for (const std::string& path : own) {
    const int mode = gpu::is_cap_node(path) ? O_RDONLY : O_RDWR;
    if (const int error = refusal_of(path, mode); error != 0) {
      proof.failure = "the job's own `" + path + "` does not open: " + std::strerror(error);
      return proof;
    }
    proof.opened.push_back(path);
  }
  for (const std::string& path : others) {
    if (refusal_of(path, O_RDWR) == 0 || refusal_of(path, O_RDONLY) == 0) {
      proof.failure = "`" + path + "`, which is not the job's, can be opened";
      return proof;
    }
    proof.refused.push_back(path);
  }
  proof.holds = true;
  return proof;
}

}  // namespace gpuctl::fence
