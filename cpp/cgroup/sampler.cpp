#include "gpuctl/cgroup/sampler.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "files.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/group_files.hpp"

namespace gpuctl::cgroup {
namespace {

using internal::AccountFile;

constexpr std::uint32_t kMissingEvery = 256;  // samples
constexpr std::size_t kMaxFileBytes = 65536;  // io.stat of hundreds of devices
constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC;

// One directory of the group, held open.
struct Folder {
  std::string path;  // below the root of the HostFs
  Fd fd;
  bool is_v2 = false;
  std::optional<std::string> controllers;  // of v2, those that are on; nullopt: not known
};

struct OpenFile {
  const AccountFile* file = nullptr;
  std::size_t folder = 0;
  Fd fd;  // invalid: not there, or not to be read
};

enum class Got { text, nothing, gone };

struct Read {
  Got got = Got::nothing;
  std::string_view text;
};

bool is_v2_controller(const Branch& branch, const char* controller) {
  return branch.is_v2() && controller[0] == '\0';
}

// Where the group's row comes from, with everything that is kept open for it.
class Source {
 public:
  Source(const HostFs& fs, const Group& group) : fs_(&fs) {
    for (const Branch& branch : group.branches()) {
      folders_.push_back({branch.directory, Fd(), branch.is_v2(), std::nullopt});
      add_files(group, branch, folders_.size() - 1);
    }
    path_ = group.main().directory.empty() ? group.path() : group.main().directory;
    if (!group.has_directory()) why_not_ = group.main().words;
  }

  // Fills in row and devices, or says what is wrong.
  std::optional<Error> sample(char* buffer, std::uint32_t number, Usage& usage,
                              std::vector<IoDevice>& devices) {
    if (!why_not_.empty()) return fail(ErrorCode::unavailable, path_, why_not_).error;
    if (!open_ && !open_folders() && ran_out_ == 0) return vanished();
    if (number % kMissingEvery == 0) open_missing();
    if (ran_out_ != 0) return no_descriptors();
    usage.identity = identity_;
    bool gone = false;
    for (OpenFile& each : files_) {
      if (!each.fd) continue;
      const Read read = read_into(buffer, each);
      if (read.got == Got::text) each.file->scan(read.text, {usage, devices});
      if (read.got == Got::gone) gone = true;
    }
    if (!gone || !is_removed()) return std::nullopt;
    close();
    usage = Usage();
    devices.clear();
    return vanished();
  }

  std::size_t descriptors() const {
    std::size_t count = 0;
    for (const Folder& each : folders_) count += each.fd ? 1 : 0;
    for (const OpenFile& each : files_) count += each.fd ? 1 : 0;
    return count;
  }

 private:
  // v2's files where that hierarchy has the controller, v1's in theirs.
  void add_files(const Group& group, const Branch& branch, std::size_t folder) {
    for (const AccountFile& each : branch.is_v2() ? internal::v2_files() : internal::v1_files()) {
      const bool v2_only = is_v2_controller(branch, each.controller);
      if (!v2_only && group.branch(each.controller) != &branch) continue;
      files_.push_back({&each, folder, Fd()});
    }
  }

  Error vanished() const {
    return fail(ErrorCode::vanished, path_, "the cgroup was removed").error;
  }

  // With an answer now, numbers would be missing that the kernel has: start afresh next time.
  Error no_descriptors() {
    const int why = std::exchange(ran_out_, 0);
    close();
    return fail_errno(why, path_, "cannot keep its files open").error;
  }

  bool open_folders() {
    bool any = false;
    for (Folder& each : folders_) {
      if (each.path.empty()) continue;
      Result<Fd> fd = fs_->open_path(each.path.substr(1), O_PATH | O_DIRECTORY);
      if (!fd && fd.error().errno_value == EMFILE) ran_out_ = EMFILE;
      if (!fd) continue;
      each.fd = std::move(*fd);
      struct stat status{};
      if (!any && ::fstat(each.fd.get(), &status) == 0) identity_ = status.st_ino;
      any = true;
    }
    open_ = any;
    if (any) open_missing();
    return any;
  }

  void open_missing() {
    for (Folder& each : folders_) {
      if (each.is_v2 && each.fd && fs_->is_live()) each.controllers = controllers_of(each.fd);
    }
    for (OpenFile& each : files_) {
      const Folder& of = folders_[each.folder];
      const Fd& folder = of.fd;
      if (each.fd || !folder || !may_have(of, *each.file)) continue;
      each.fd.reset(::openat(folder.get(), each.file->name, kReadFlags));
      if (!each.fd && (errno == EMFILE || errno == ENFILE || errno == ENOMEM)) ran_out_ = errno;
    }
  }

  // Each file that is asked for in vain is a dear answer of the kernel's.
  static std::optional<std::string> controllers_of(const Fd& folder) {
    const Result<std::string> names = read_file(folder.get(), "cgroup.controllers");
    return names ? std::optional<std::string>(*names) : std::nullopt;
  }

  static bool may_have(const Folder& folder, const AccountFile& file) {
    if (!folder.controllers || file.needs[0] == '\0') return true;
    const std::vector<std::string_view> names = split(trim(*folder.controllers), ' ');
    return std::find(names.begin(), names.end(), file.needs) != names.end();
  }

  // The folder of a removed cgroup stays open and is empty.
  bool is_removed() const {
    for (const Folder& each : folders_) {
      if (each.fd && ::faccessat(each.fd.get(), "cgroup.procs", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return true;
    }
    return false;
  }

  void close() {
    for (OpenFile& each : files_) each.fd.reset();
    for (Folder& each : folders_) each.fd.reset();
    open_ = false;
  }

  // ENODEV: the cgroup was removed, or its controller was taken away.
  static Read read_into(char* buffer, OpenFile& file) {
    const ssize_t size =
        retry_on_interrupt([&] { return ::pread(file.fd.get(), buffer, kMaxFileBytes, 0); });
    // What fills the buffer may go on: half a file has numbers that are no sums of anything.
    if (size >= 0 && static_cast<std::size_t>(size) < kMaxFileBytes)
      return {Got::text, {buffer, static_cast<std::size_t>(size)}};
    if (size >= 0 || errno != ENODEV) return {};
    file.fd.reset();
    return {Got::gone, {}};
  }

  const HostFs* fs_;
  std::string path_;
  std::string why_not_;
  std::vector<Folder> folders_;
  std::vector<OpenFile> files_;
  std::uint64_t identity_ = 0;
  bool open_ = false;
  int ran_out_ = 0;  // errno of what could not be opened for want of descriptors or memory
};

}  // namespace

struct Sampler::State {
  std::vector<Source> sources;
  Sample now;
  std::unique_ptr<char[]> buffer{
      new char[kMaxFileBytes]};  // NOLINT: its pages are only those that files fill
  std::uint32_t samples = 0;
};

Sampler::Sampler() : state_(std::make_unique<State>()) {}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

std::size_t Sampler::add(const HostFs& fs, const Group& group) {
  state_->sources.emplace_back(fs, group);
  state_->now.rows.emplace_back();
  state_->now.devices.emplace_back();
  state_->now.errors.emplace_back();
  return state_->sources.size() - 1;
}

const Sample& Sampler::sample() {
  State& state = *state_;
  const std::uint32_t number = ++state.samples;
  for (std::size_t i = 0; i < state.sources.size(); ++i) {
    Usage& usage = state.now.rows[i];
    usage = Usage();
    state.now.devices[i].clear();
    state.now.errors[i] =
        state.sources[i].sample(state.buffer.get(), number, usage, state.now.devices[i]);
    usage.taken_at = monotonic_usec();
  }
  return state.now;
}

std::size_t Sampler::descriptors() const {
  std::size_t count = 0;
  for (const Source& each : state_->sources) count += each.descriptors();
  return count;
}

OneSample sample_once(const HostFs& fs, const Group& group) {
  Sampler sampler;
  const std::size_t only = sampler.add(fs, group);
  const Sample& now = sampler.sample();
  return {now.rows[only], now.devices[only], now.errors[only]};
}

}  // namespace gpuctl::cgroup
