#include "gpuctl/lease/lease_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/record.hpp"
#include "gpuctl/base/state_place.hpp"
#include "gpuctl/gpu/json.hpp"
#include "gpuctl/lease/json.hpp"
#include "lease_files.hpp"

namespace gpuctl::lease {
namespace {

constexpr const char* kPlace = "leases";
constexpr mode_t kReadByAll = 0444;
constexpr const char* kSchema = "gpuctl.lease-file/1";
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

// An id comes from a record, and the names of directories are made of it.
bool is_plain(const std::string& id) {
  return !id.empty() && id.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string place_of(const Lease& lease) {
  return std::string(kPlace) + "/" + std::to_string(lease.uid) + "/" + lease.id;
}

Result<Fd> make_place(const internal::Core& core, const Lease& lease) {
  const Result<Fd> all = open_or_make_dir(core.state.get(), kPlace, mode_like(core.state.get()));
  if (!all) return fail(all.error());
  const Result<Fd> own = open_or_make_dir(all->get(), std::to_string(lease.uid), 0755);
  if (!own) return fail(own.error());
  if (Result<void> safe = require_safe_dir(own->get(), kPlace, ::geteuid()); !safe)
    return fail(safe.error());
  // Under its own name at once: whoever gives the lease back finds it, however far we came.
  if (::mkdirat(own->get(), lease.id.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(errno, lease.id, "cannot make the directory");
  Result<Fd> place = open_at(own->get(), lease.id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (place && ::fchmod(place->get(), 0755) != 0)
    return fail_errno(errno, lease.id, "cannot set the mode");
  return place;
}

// Whoever gives the lease back removes its files then.
Result<void> mark_published(internal::Core& core, const Lease& lease) {
  for (const internal::Slot& slot : core.own->slots()) {
    if (slot.damaged || slot.entry.nonce_head != internal::nonce_head(lease.id)) continue;
    if (slot.entry.published != 0) return {};
    internal::Entry entry = slot.entry;
    entry.published = 1;
    return core.own->write_entry(slot.index, entry);
  }
  return fail(ErrorCode::not_found, lease.id, "the lease is not on record");
}

// Absolute, however the state directory was named: the file is bound into containers by it.
Result<std::string> path_of(const Fd& dir) {
  std::array<char, PATH_MAX> path{};
  const std::string link = internal::descriptor_path(dir.get());
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size() - 1);
  if (length <= 0) return fail_errno(errno, link, "cannot tell where the lease's files are");
  return std::string(path.data(), static_cast<std::size_t>(length));
}

std::optional<std::string> text_in(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

Result<Unit> unit_in(const Json& gpu, const std::string& path) {
  const std::optional<std::string> id = text_in(gpu, "id");
  if (!id) return fail(ErrorCode::malformed, path, "a GPU without an `id`");
  return Unit{*id, text_in(gpu, "pci_address").value_or(""), text_in(gpu, "uuid"),
              text_in(gpu, "parent_id")};
}

}  // namespace

Result<Lease> read_lease_file(const std::string& path) {
  const Result<Fd> fd = open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
  if (!fd) return fail(fd.error());
  const Result<std::string> text = read_all(fd->get(), kMaxBytes, path);
  if (!text) return fail(text.error());
  const Json json = Json::parse(*text, nullptr, false);
  const std::optional<std::string> id = json.is_object() ? text_in(json, "lease_id") : std::nullopt;
  const auto gpus = json.is_object() ? json.find("gpus") : json.end();
  if (!id || text_in(json, "schema") != kSchema || gpus == json.end() || !gpus->is_array())
    return fail(ErrorCode::malformed, path, "no lease file: expected `gpuctl.lease-file/1`");
  Lease lease;
  lease.id = *id;
  for (const Json& each : *gpus) {
    Result<Unit> unit = unit_in(each, path);
    if (!unit) return fail(unit.error());
    lease.units.push_back(std::move(*unit));
  }
  return lease;
}

Json lease_file_json(const std::optional<std::string>& lease_id,
                     const std::vector<gpu::Gpu>& gpus) {
  Json records = Json::array();
  for (const gpu::Gpu& each : gpus) records.push_back(gpu::to_json(each));
  return {{"schema", kSchema}, {"lease_id", json_or_null(lease_id)}, {"gpus", std::move(records)}};
}

Result<std::string> write_lease_file(const Fd& dir, const std::string& name,
                                     const std::optional<std::string>& lease_id,
                                     const std::vector<gpu::Gpu>& gpus) {
  const std::string file = name + ".json";
  const std::string text = to_text(lease_file_json(lease_id, gpus));
  if (Result<void> done = replace_file(dir.get(), file, text, kReadByAll); !done)
    return fail(done.error());
  Result<std::string> path = path_of(dir);
  if (path) *path += "/" + file;
  return path;
}

Result<std::string> Ledger::publish(const Lease& lease, const std::vector<gpu::Gpu>& gpus,
                                    const std::string& name) const {
  if (lease.uid != impl_->uid)
    return fail(ErrorCode::permission, lease.id,
                "a lease of uid " + std::to_string(lease.uid) + ", who alone writes its file");
  if (!is_plain(lease.id)) return fail(ErrorCode::malformed, lease.id, "no id of a lease");
  const Result<internal::Critical> critical = internal::enter_and_read(*impl_);
  if (!critical) return fail(critical.error());
  if (Result<void> marked = mark_published(*impl_, lease); !marked) return fail(marked.error());
  const Result<Fd> place = make_place(*impl_, lease);
  if (!place) return fail(place.error());
  return write_lease_file(*place, name, lease.id, gpus);
}

namespace internal {

void remove_lease_files(const Core& core, const Lease& lease) {
  if (!is_plain(lease.id)) return;
  const std::string path = place_of(lease);
  Fd fd(::openat(core.state.get(), path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return;  // most were never published
  const Dir dir(std::move(fd), path);
  for (const std::string& name : dir.names().value_or(std::vector<std::string>()))
    ::unlinkat(dir.fd(), name.c_str(), 0);
  ::unlinkat(core.state.get(), path.c_str(), AT_REMOVEDIR);
}

}  // namespace internal
}  // namespace gpuctl::lease
