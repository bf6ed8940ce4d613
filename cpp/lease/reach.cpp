#include "reach.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/proc/identity.hpp"

namespace gpuctl::lease::internal {
namespace {

// MNT_NS_INIT_INO of <linux/nsfs.h> since 6.18; before, the first number given out.
constexpr std::uint64_t kInitialMounts[] = {0xeffffff8, 0xf0000000};

bool exists(const HostFs& live, const char* path) {
  return live.open_path(path, O_PATH).has_value();
}

bool in_initial_mounts(const HostFs& live) {
  const Result<std::uint64_t> mounts = proc::read_namespace(live, ::getpid(), "mnt");
  return mounts && std::find(std::begin(kInitialMounts), std::end(kInitialMounts), *mounts) !=
                       std::end(kInitialMounts);
}

// Root may look at what init sees under the same name.
std::optional<bool> is_what_init_sees(const HostFs& live, int state_fd, const std::string& path) {
  struct stat ours{};
  struct stat theirs{};
  const Result<Fd> init_root = live.open_path(host_paths::kInitRoot, O_PATH | O_DIRECTORY);
  if (!init_root || ::fstat(state_fd, &ours) != 0) return std::nullopt;
  const std::string below = "." + path;
  if (::fstatat(init_root->get(), below.c_str(), &theirs, AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

struct Mount {
  std::string root;
  std::string source;
};

// The last one mounted at `point` (proc_pid_mountinfo(5)).
std::optional<Mount> mount_at(const HostFs& live, const std::string& point) {
  const Result<std::string> text = live.read_file(host_paths::kSelfMountinfo);
  std::optional<Mount> found;
  if (!text) return found;
  for (const std::string_view line : split(*text, '\n')) {
    const std::vector<std::string_view> words = split(line, ' ');
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words[4] != point || words.end() - dash < 3) continue;
    found = Mount{std::string(words[3]), std::string(dash[2])};
  }
  return found;
}

Reach reach_of_place(const HostFs& live, int state_fd, const std::string& path) {
  if (path == host_paths::kLiveRunState || in_initial_mounts(live)) return {};
  if (const std::optional<bool> same = is_what_init_sees(live, state_fd, path)) {
    if (*same) return {};
    return {false, true, "`" + path + "` is not the node's: init sees another directory there"};
  }
  const std::string mount_point = path.substr(0, path.rfind('/'));
  const std::optional<Mount> mount = mount_at(live, mount_point);
  if (mount && (mount->root != "/" || mount->source == "shm")) {
    return {false, true,
            "`" + mount_point + "` is private to this slot or container (it is `" + mount->root +
                "` of `" + mount->source + "`)"};
  }
  return {true, false,
          "from this mount namespace it cannot be told whether `" + path + "` is the node's"};
}

}  // namespace

Reach reach_of(const HostFs& live, int state_fd, const std::string& path, bool named,
               bool live_hardware) {
  if (live_hardware && !exists(live, host_paths::kInitialNetSetting) &&
      exists(live, host_paths::kAnyNetSetting)) {
    return {false, true,
            "gpuctl is in a network namespace of its own, where its locks on GPUs are not seen by "
            "the rest of the node"};
  }
  return named ? Reach{} : reach_of_place(live, state_fd, path);
}

}  // namespace gpuctl::lease::internal
