#include "runtimes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <optional>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/tool.hpp"

namespace gpuctl::fence::internal {
namespace {

constexpr Usec kPatience = 10 * kUsecPerSec;
constexpr const char* kInside = "/gpuctl";

// A root with our binary in it; gone with this object.
class TinyRoot {
 public:
  explicit TinyRoot(const std::string& binary) {
    char name[] = "/tmp/gpuctl-probe-XXXXXX";
    if (::mkdtemp(name) == nullptr) return;
    path_ = name;
    // mount points that the runtimes want to find
    for (const char* each : {"proc", "dev", "sys", "tmp", "etc", "run", "var"})
      ::mkdir((path_ + "/" + each).c_str(), 0755);
    is_whole_ = copy(binary, path_ + kInside);
  }
  TinyRoot(const TinyRoot&) = delete;
  TinyRoot& operator=(const TinyRoot&) = delete;
  ~TinyRoot() {
    if (path_.empty()) return;
    for (const char* each : {"/etc/hosts", "/etc/resolv.conf", "/etc/passwd", "/etc/group",
                             "/etc/localtime", "/etc/mtab", "/run/.containerenv", kInside})
      ::unlink((path_ + each).c_str());
    for (const char* each : {"proc", "dev", "sys", "tmp", "etc", "run/secrets", "run", "var"})
      ::rmdir((path_ + "/" + each).c_str());
    ::rmdir(path_.c_str());
  }

  bool is_whole() const { return is_whole_; }
  const std::string& path() const { return path_; }

 private:
  static bool copy(const std::string& from, const std::string& to) {
    const Result<Fd> source = open_at(AT_FDCWD, from, O_RDONLY);
    const Result<std::string> bytes =
        source ? read_all(source->get(), std::size_t{64} << 20, from) : fail(source.error());
    const Result<Fd> target =
        bytes ? open_at(AT_FDCWD, to, O_WRONLY | O_CREAT | O_EXCL, 0755) : fail(bytes.error());
    return target && write_all(target->get(), *bytes, to);
  }

  std::string path_;
  bool is_whole_ = false;
};

std::string find_on_path(const std::string& path, const std::string& program) {
  for (const std::string_view folder : split(path, ':')) {
    std::string candidate = std::string(folder) + "/" + program;
    if (!folder.empty() && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return {};
}

Capability try_one(const ProbeOptions& options, Capability capability,
                   const std::vector<std::string>& words) {
  if (find_on_path(options.path, words[0]).empty()) {
    capability.detail = "`" + words[0] + "` is not installed";
    return capability;
  }
  ToolCall call{words, {"PATH=" + options.path, "LC_ALL=C"}, kPatience};
  if (!options.home.empty()) call.environment.push_back("HOME=" + options.home);
  const Result<ToolEnd> end = run_tool(call);
  capability.has = end && end->exited_with(0);
  if (!capability.has) capability.detail = end ? end->words() : end.error().message();
  return capability;
}

}  // namespace

std::vector<Capability> try_runtimes(const ProbeOptions& options) {
  const TinyRoot root(options.own_binary);
  const std::string& path = root.path();
  std::vector<Capability> all;
  all.push_back(
      try_one(options, {"bubblewrap", "bubblewrap starts a container", false, 0, ""},
              {"bwrap", "--bind", path, "/", "--dev", host_paths::kLiveDev, "--proc",
               host_paths::kLiveProc, "--unshare-pid", "--new-session", kInside, "--version"}));
  all.push_back(try_one(options, {"podman", "Podman starts a container", false, 0, ""},
                        {"podman", "run", "--rm", "--network=none", "--cgroups=disabled",
                         "--log-driver=none", "--rootfs", path, kInside, "--version"}));
  all.push_back(try_one(options, {"apptainer", "Apptainer starts a container", false, 0, ""},
                        {"apptainer", "-s", "exec", "-C", path, kInside, "--version"}));
  return all;
}

}  // namespace gpuctl::fence::internal
