#include "unit_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "steps.hpp"

namespace gpuctl::lease::internal {
namespace {

Result<Fd> open_directory(const HostFs& hardware, const Unit& unit) {
  const std::string path = std::string(host_paths::kPciDevices) + "/" + unit.pci_address;
  return hardware.open_path(path, O_RDONLY | O_DIRECTORY);
}

bool has_open(const Dir& descriptors, const std::string& name, const std::vector<FileId>& files) {
  struct stat status{};
  if (::fstatat(descriptors.fd(), name.c_str(), &status, 0) != 0 || !S_ISDIR(status.st_mode))
    return false;
  return std::find(files.begin(), files.end(), FileId{status.st_dev, status.st_ino}) != files.end();
}

bool process_has_open(const HostFs& processes, pid_t pid, const std::vector<FileId>& files) {
  const std::string path = std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/fd";
  const Result<Dir> descriptors = processes.open_dir(path);
  if (!descriptors) return false;
  const std::vector<std::string> names = descriptors->names().value_or(std::vector<std::string>());
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return has_open(*descriptors, name, files); });
}

}  // namespace

Result<UnitLock> UnitLock::take(const HostFs& hardware, const Unit& unit) {
  Result<Fd> fd = open_directory(hardware, unit);
  if (!fd) return fail(std::move(fd).error());
  step("lock unit");
  const int how = unit.parent_id ? LOCK_SH : LOCK_EX;
  if (::flock(fd->get(), how | LOCK_NB) == 0) return UnitLock(std::move(*fd));
  if (errno == EWOULDBLOCK) return fail(ErrorCode::busy, unit.id, "its lock is held");
  return fail_errno(errno, unit.id, "cannot lock the GPU's directory");
}

void UnitLock::unlock() {
  if (!fd_) return;
  ::flock(fd_.get(), LOCK_UN);
  fd_.reset();
}

Result<FileId> lock_file_of(const HostFs& hardware, const Unit& unit) {
  const Result<Fd> fd = open_directory(hardware, unit);
  if (!fd) return fail(fd.error());
  return file_id(fd->get(), unit.id);
}

std::vector<pid_t> who_has_open(const HostFs& processes, const std::vector<FileId>& files) {
  std::vector<pid_t> found;
  const Result<Dir> proc = processes.open_dir(host_paths::kProc);
  if (!proc || files.empty()) return found;
  for (const std::string& name : proc->names().value_or(std::vector<std::string>())) {
    const Result<std::uint64_t> pid = parse_unsigned(name, "pid", 10, 0x7fffffff);
    if (pid && process_has_open(processes, static_cast<pid_t>(*pid), files))
      found.push_back(static_cast<pid_t>(*pid));
  }
  return found;
}

}  // namespace gpuctl::lease::internal
