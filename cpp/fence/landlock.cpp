#include "landlock.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string_view>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/syscall_numbers.hpp"
#include "gpuctl/base/without.hpp"
#include "gpuctl/fence/restrict.hpp"

namespace gpuctl::fence {
namespace {

// <linux/landlock.h>, which is younger than the headers of some machines that we compile on.
struct RulesetAttr {
  std::uint64_t handled_access_fs;
  std::uint64_t handled_access_net;
  std::uint64_t scoped;
};
struct [[gnu::packed]] PathBeneathAttr {
  std::uint64_t allowed_access;
  std::int32_t parent_fd;
};
constexpr unsigned kCreateRulesetVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION
constexpr int kRulePathBeneath = 1;            // LANDLOCK_RULE_PATH_BENEATH
constexpr std::uint64_t kWriteFile = 1U << 1;  // LANDLOCK_ACCESS_FS_WRITE_FILE
constexpr std::uint64_t kReadFile = 1U << 2;   // LANDLOCK_ACCESS_FS_READ_FILE
constexpr std::uint64_t kRefer = 1U << 13;     // LANDLOCK_ACCESS_FS_REFER
constexpr std::uint64_t kScopeSignal = 1U << 1;
constexpr int kAbiWithRefer = 2;
constexpr int kAbiWithScope = 6;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Disks, and the machine's consoles and serial lines: no job's, and nine tenths of the rules.
bool is_the_machines(const std::string& prefix, const dirent& entry) {
  const std::string_view name = entry.d_name;
  const auto begins = [&](std::string_view start) { return name.substr(0, start.size()) == start; };
  if (prefix != host_paths::kDevNodes) return false;
  return entry.d_type == DT_BLK ||
         (entry.d_type == DT_CHR && ((begins("tty") && name != "tty") || begins("vcs")));
}

class Builder {
 public:
  Builder(int ruleset, int abi, const std::vector<std::string>& refused)
      : ruleset_(ruleset), may_refer_(abi >= kAbiWithRefer) {
    for (const std::string& path : refused) {
      refused_.insert(path);
      for (std::size_t at = path.rfind('/'); at != 0 && at != std::string::npos;
           at = path.rfind('/', at - 1))
        above_.insert(path.substr(0, at));
    }
  }

  Result<void> allow_the_rest() {
    // Renaming from one directory into another needs a right that is refused unless it is given.
    if (may_refer_) {
      if (Result<void> done = allow_at(AT_FDCWD, "/", kRefer); !done) return done;
    }
    return allow_in("/");
  }

 private:
  Result<void> allow_in(const std::string& path) {
    const std::unique_ptr<DIR, CloseDir> dir(::opendir(path.c_str()));
    // One that we may not list hides nothing from us alone: what is in it stays refused.
    if (!dir) return {};
    const std::string prefix = path == "/" ? path : path + "/";
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string name = entry->d_name;
      if (name == "." || name == ".." || entry->d_type == DT_LNK) continue;
      if (is_the_machines(prefix, *entry)) continue;
      if (Result<void> done = allow_entry(::dirfd(dir.get()), prefix, name); !done) return done;
    }
    return {};
  }

  Result<void> allow_entry(int dir_fd, const std::string& prefix, const std::string& name) {
    const std::string path = prefix + name;
    if (refused_.count(path) != 0) return {};
    if (above_.count(path) != 0) return allow_in(path);
    return allow_at(dir_fd, name, kReadFile | kWriteFile);
  }

  Result<void> allow_at(int dir_fd, const std::string& name, std::uint64_t access) {
    const Fd fd(::openat(dir_fd, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return {};  // gone meanwhile, or not for us
    PathBeneathAttr rule{access, fd.get()};
    if (::syscall(syscall_numbers::kLandlockAddRule, ruleset_, kRulePathBeneath, &rule, 0U) == 0)
      return {};
    // a file system of the kernel's own, which Landlock leaves alone
    if (errno == EBADFD) return {};
    return fail_errno(errno, name, "cannot add a Landlock rule");
  }

  int ruleset_;
  bool may_refer_;
  std::set<std::string> refused_;
  std::set<std::string> above_;  // every directory above one of them
};

}  // namespace

int landlock_abi() {
  if (without().landlock) return 0;
  const long version = ::syscall(syscall_numbers::kLandlockCreateRuleset, nullptr, std::size_t{0},
                                 kCreateRulesetVersion);
  return version > 0 ? static_cast<int>(version) : 0;
}

namespace internal {

Result<Fd> make_ruleset(const std::vector<std::string>& refused, bool scope_signals) {
  const int abi = landlock_abi();
  if (abi == 0) {
    return fail(ErrorCode::unsupported, "",
                "no Landlock here: it came with Linux 5.13 and must be in the kernel's `lsm=`");
  }
  RulesetAttr wanted{};
  if (!refused.empty())
    wanted.handled_access_fs = kReadFile | kWriteFile | (abi >= kAbiWithRefer ? kRefer : 0);
  if (scope_signals && abi >= kAbiWithScope && !without().landlock_scope)
    wanted.scoped = kScopeSignal;
  if (wanted.handled_access_fs == 0 && wanted.scoped == 0)
    return fail(ErrorCode::unsupported, "", "this Landlock cannot keep signals in");
  Fd ruleset(static_cast<int>(
      ::syscall(syscall_numbers::kLandlockCreateRuleset, &wanted, sizeof wanted, 0U)));
  if (!ruleset) return fail_errno(errno, "", "cannot make a Landlock ruleset");
  if (!refused.empty()) {
    if (Result<void> done = Builder(ruleset.get(), abi, refused).allow_the_rest(); !done)
      return fail(done.error());
  }
  return ruleset;
}

Result<void> enter_ruleset(const Fd& ruleset) {
  if (::syscall(syscall_numbers::kLandlockRestrictSelf, ruleset.get(), 0U) == 0) return {};
  return fail_errno(errno, "", "cannot enter a Landlock domain");
}

}  // namespace internal
}  // namespace gpuctl::fence
