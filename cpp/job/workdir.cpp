#include "gpuctl/job/workdir.hpp"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace gpuctl::job {
namespace {

constexpr std::size_t kMaxFiles = 100'000;

bool matches_any(const std::string& path, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return ::fnmatch(pattern.c_str(), path.c_str(), FNM_PERIOD) == 0;
  });
}

Result<Fd> open_output_dir(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(errno, path, "cannot make the directory");
  return open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
}

}  // namespace

Workdir plan_workdir(const std::string& parent, const std::string& job_id,
                     const std::string& nonce) {
  const std::string name = "alien-job-" + job_id;
  return Workdir{parent, name, "." + name + "." + nonce, {}, Fd()};
}

Result<void> make_workdir(Workdir& workdir) {
  const Result<Fd> parent = open_at(AT_FDCWD, workdir.parent, O_RDONLY | O_DIRECTORY);
  if (!parent) return fail(parent.error());
  if (::mkdirat(parent->get(), workdir.made_as.c_str(), 0700) != 0) {
    return fail_errno(errno, workdir.path(), "cannot make the work directory");
  }
  Result<Fd> fd = open_at(parent->get(), workdir.made_as, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!fd) return fail(std::move(fd).error());
  const Result<FileId> id = file_id(fd->get(), workdir.path());
  if (!id) return fail(id.error());
  workdir.id = *id;
  workdir.fd = std::move(*fd);
  return {};
}

Result<void> publish_workdir(const Workdir& workdir) {
  const Result<Fd> parent = open_at(AT_FDCWD, workdir.parent, O_RDONLY | O_DIRECTORY);
  if (!parent) return fail(parent.error());
  if (rename_without_replacing(parent->get(), workdir.made_as, workdir.name) == 0) return {};
  return fail_errno(errno, workdir.path(), "cannot make the work directory");
}

Result<void> bring_inputs(const Workdir& workdir, const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    const std::size_t slash = input.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : input.substr(0, slash + 1);
    const std::string name = slash == std::string::npos ? input : input.substr(slash + 1);
    const Result<Fd> from = open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);
    if (!from) return fail(from.error());
    if (Result<void> copied = copy_file(from->get(), name, workdir.fd.get(), name); !copied)
      return copied;
  }
  return {};
}

std::vector<std::string> keep_outputs(const Workdir& workdir,
                                      const std::vector<std::string>& patterns,
                                      const std::string& output_dir,
                                      std::vector<std::string>& problems) {
  std::vector<std::string> kept;
  const Result<std::vector<std::string>> files = list_files(workdir.fd.get(), kMaxFiles);
  const Result<Fd> target = open_output_dir(output_dir);
  if (!files || !target) {
    problems.push_back("no output was kept: " +
                       (!files ? files.error() : target.error()).message());
    return kept;
  }
  for (const std::string& file : *files) {
    if (!matches_any(file, patterns)) continue;
    if (const Result<void> copied = copy_file(workdir.fd.get(), file, target->get(), file);
        copied) {
      kept.push_back(file);
    } else {
      problems.push_back("output `" + file + "` was not kept: " + copied.error().message());
    }
  }
  return kept;
}

Result<void> remove_workdir(const std::string& parent, const std::string& name,
                            const std::string& made_as, const FileId& id) {
  const Result<Fd> parent_fd = open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
  if (!parent_fd) return fail(parent_fd.error());
  if (id == FileId{}) {
    if (::unlinkat(parent_fd->get(), made_as.c_str(), AT_REMOVEDIR) == 0) return {};
    return fail_errno(errno, parent + "/" + made_as, "cannot remove");
  }
  Result<void> removed = remove_tree(parent_fd->get(), made_as, id);
  if (removed || removed.error().code != ErrorCode::not_found) return removed;
  return remove_tree(parent_fd->get(), name, id);
}

}  // namespace gpuctl::job
