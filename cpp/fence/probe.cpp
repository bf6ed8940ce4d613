#include "gpuctl/fence/probe.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/state_place.hpp"
#include "gpuctl/proc/identity.hpp"
#include "runtimes.hpp"
#include "tries.hpp"

namespace gpuctl::fence {
namespace {

constexpr int kPatienceMs = 2000;
constexpr const char* kFolder = "probe";
constexpr const char* kSchema = "gpuctl.probe_cache/1";
constexpr std::size_t kMaxBytes = 65536;

// What an answer is good for: this boot, user, program and these namespaces.
Result<std::string> make_key(const HostFs& fs, const ProbeOptions& options) {
  const Result<proc::Here> here = proc::read_here(fs);
  if (!here) return fail(here.error());
  const Result<proc::Identity> self = proc::identify(fs, *here, ::getpid());
  if (!self) return fail(self.error());
  std::string key = self->boot_id + " " + std::to_string(::geteuid()) + " " GPUCTL_VERSION " ";
  for (const char* kind : {"user", "pid", "mnt"}) {
    const Result<std::uint64_t> inode = proc::read_namespace(fs, ::getpid(), kind);
    key += inode ? std::to_string(*inode) + " " : "- ";
  }
  return key + options.path;
}

Result<Fd> open_folder(const ProbeOptions& options) {
  const Result<Fd> state = open_state(options.state_dir);
  if (!state) return fail(state.error());
  return open_or_make_dir(state->get(), kFolder, mode_like(state->get()));
}

std::optional<Capability> read_one(const Json& json) {
  Capability one;
  if (!json.is_object() || !json.value("name", Json()).is_string()) return std::nullopt;
  one.name = json["name"].get<std::string>();
  one.what = json.value("what", "");
  one.has = json.value("has", false);
  one.errno_value = json.value("errno", 0);
  one.detail = json.value("detail", "");
  return one;
}

// Only a file of our own is believed, and only whole.
std::optional<Capabilities> read_kept(int folder, const std::string& name, const std::string& key) {
  const Result<Fd> file = open_at(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat status{};
  if (!file || ::fstat(file->get(), &status) != 0 || status.st_uid != ::geteuid() ||
      !S_ISREG(status.st_mode))
    return std::nullopt;
  const Result<std::string> text = read_all(file->get(), kMaxBytes, name);
  const Json json = text ? Json::parse(*text, nullptr, false) : Json();
  if (!json.is_object() || json.value("schema", "") != kSchema || json.value("key", "") != key)
    return std::nullopt;
  Capabilities kept;
  kept.from_cache = true;
  for (const Json& each : json.value("capabilities", Json::array())) {
    std::optional<Capability> one = read_one(each);
    if (!one) return std::nullopt;
    kept.all.push_back(std::move(*one));
  }
  return kept;
}

// A cache that cannot be written is none: the next one asks again.
void keep(int folder, const std::string& name, const std::string& key, const Capabilities& found) {
  Json list = Json::array();
  for (const Capability& each : found.all) {
    list.push_back({{"name", each.name},
                    {"what", each.what},
                    {"has", each.has},
                    {"errno", each.errno_value},
                    {"detail", each.detail}});
  }
  const std::string temporary = name + "." + std::to_string(::getpid());
  const std::string text =
      gpuctl::to_line({{"schema", kSchema}, {"key", key}, {"capabilities", list}});
  const Result<Fd> file =
      open_at(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
  const bool written = file && write_all(file->get(), text, temporary);
  if (!written || ::renameat(folder, temporary.c_str(), folder, name.c_str()) != 0)
    ::unlinkat(folder, temporary.c_str(), 0);
}

Capabilities ask(const ProbeOptions& options) {
  Capabilities found;
  for (const internal::Try& each : internal::kernel_tries()) {
    const internal::Tried tried = internal::run_apart(each.run, kPatienceMs);
    found.all.push_back({each.name, each.what, tried.works, tried.errno_value, tried.detail});
  }
  for (Capability& each : internal::try_runtimes(options)) found.all.push_back(std::move(each));
  return found;
}

}  // namespace

Result<Capabilities> probe(const HostFs& fs, const ProbeOptions& options) {
  const Result<std::string> key = make_key(fs, options);
  if (!key) return fail(key.error());
  const Result<Fd> folder = open_folder(options);
  const std::string name = std::to_string(::geteuid());
  if (folder && !options.fresh) {
    if (std::optional<Capabilities> kept = read_kept(folder->get(), name, *key)) return *kept;
  }
  Capabilities found = ask(options);
  if (folder) keep(folder->get(), name, *key, found);
  return found;
}

const Capability* find(const Capabilities& capabilities, const std::string& name) {
  const auto same = [&](const Capability& each) { return each.name == name; };
  const auto row = std::find_if(capabilities.all.begin(), capabilities.all.end(), same);
  return row == capabilities.all.end() ? nullptr : &*row;
}

}  // namespace gpuctl::fence
