// The system's pci.ids (pci.ids(5)): "VVVV  vendor", "<tab>DDDD  device", "<tab><tab>SSSS SSSS
// subsystem".
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/catalogue.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::size_t kHeadBytes = 1024;          // the version is in the first lines
constexpr std::size_t kMaxFileBytes = 16U << 20;  // ten times today's file
constexpr std::string_view kVersionTag = "Version:";
constexpr std::size_t kVersionLength = sizeof("2025.06.09") - 1;

std::string id_line(const char* prefix, std::uint16_t id) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%s%04x  ", prefix, unsigned{id});
  return text.data();
}

// The lines of one vendor, up to the next vendor.
std::string_view vendor_block(std::string_view text, std::uint16_t vendor) {
  const std::size_t start = text.find(id_line("\n", vendor));
  if (start == std::string_view::npos) return {};
  std::size_t end = start + 1;
  while ((end = text.find('\n', end)) != std::string_view::npos) {
    ++end;
    if (end < text.size() && text[end] != '\t' && text[end] != '#' && text[end] != '\n') break;
  }
  return text.substr(start, end == std::string_view::npos ? end : end - start);
}

// The first file that opens; no pci.ids on the machine is normal.
Fd open_first(const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    Result<Fd> fd = open_at(AT_FDCWD, file, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd) return std::move(*fd);
  }
  return Fd();
}

std::optional<std::string> version_of_file(int fd) {
  std::array<char, kHeadBytes> head{};
  const ssize_t count =
      retry_on_interrupt([&] { return ::pread(fd, head.data(), head.size(), 0); });
  if (count <= 0) return std::nullopt;
  return pci_ids_version({head.data(), static_cast<std::size_t>(count)});
}

bool all_known(const std::vector<DeviceId>& ids) {
  return std::all_of(ids.begin(), ids.end(), [](const DeviceId& id) {
    return catalogue_name(id.vendor, id.device).has_value();
  });
}

// The text of the system's file when it has something to say, else nothing.
std::string read_if_useful(const std::vector<std::string>& files,
                           const std::vector<DeviceId>& wanted, bool& newer) {
  const Fd fd = open_first(files);
  if (!fd) return {};
  const std::optional<std::string> version = version_of_file(fd.get());
  newer = version && *version > catalogue_version();
  if (!version || (!newer && all_known(wanted))) return {};
  return read_all(fd.get(), kMaxFileBytes, "pci.ids").value_or(std::string());
}

}  // namespace

const std::vector<std::string>& system_pci_ids_files() {
  static const std::vector<std::string> files{"/usr/share/misc/pci.ids",
                                              "/usr/share/hwdata/pci.ids", "/usr/share/pci.ids"};
  return files;
}

std::optional<std::string> pci_ids_version(std::string_view head) {
  const std::size_t tag = head.find(kVersionTag);
  if (tag == std::string_view::npos) return std::nullopt;
  const std::size_t end = head.find('\n', tag);
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view version =
      trim(head.substr(tag + kVersionTag.size(), end - tag - kVersionTag.size()));
  if (version.size() != kVersionLength ||
      version.find_first_not_of("0123456789.") != std::string_view::npos) {
    return std::nullopt;
  }
  return std::string(version);
}

std::optional<std::string> find_in_pci_ids(std::string_view text, DeviceId id) {
  const std::string_view block = vendor_block(text, id.vendor);
  const std::string key = id_line("\n\t", id.device);
  const std::size_t found = block.find(key);
  if (found == std::string_view::npos) return std::nullopt;
  const std::size_t start = found + key.size();
  const std::string_view name = trim(block.substr(start, block.find('\n', start) - start));
  if (name.empty()) return std::nullopt;
  return std::string(name);
}

NameSource::NameSource(const std::vector<std::string>& files, const std::vector<DeviceId>& wanted)
    : ids_(wanted) {
  bool newer = false;
  const std::string text = wanted.empty() ? std::string() : read_if_useful(files, wanted, newer);
  for (const DeviceId& id : wanted) {
    const std::optional<std::string_view> built_in = catalogue_name(id.vendor, id.device);
    std::optional<std::string> name;
    if (!text.empty() && (newer || !built_in)) name = find_in_pci_ids(text, id);
    if (!name && built_in) name = std::string(*built_in);
    names_.push_back(std::move(name));
  }
}

std::optional<std::string> NameSource::name(DeviceId id) const {
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    if (ids_[i].vendor == id.vendor && ids_[i].device == id.device) return names_[i];
  }
  return std::nullopt;
}

}  // namespace gpuctl::gpu
