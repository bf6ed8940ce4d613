// All PCI functions of a node, one file each where the kernel has `uevent`.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/gpu/classify.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::size_t kMaxUeventBytes = 4096;  // one page, as every sysfs attribute

std::string path_of(const std::string& name) {
  return std::string(host_paths::kPciDevices) + "/" + name;
}

PciFunction make_function(const PciAddress& address, const PciIdentity& identity) {
  return PciFunction{address,          *identity.class_code, *identity.vendor,
                     *identity.device, identity.subsystem,   identity.driver};
}

// One open, no directory handle, one read: 400 functions are 400 of these, and the system calls are all that an
// inventory costs. Anything odd (a FIFO reads as nothing, a full buffer is no attribute) is left to the careful way.
class QuickReader {
 public:
  QuickReader(const HostFs& fs, const Dir& devices)
      : fs_(fs),
        devices_(devices),
        path_(fs.is_live() ? "" : path_of("")),
        name_at_(path_.size()) {}

  std::optional<PciFunction> read(const std::string& name, const PciAddress& address) {
    const Fd fd = open(name);
    std::array<char, kMaxUeventBytes> buffer;  // NOLINT: filled by read(2)
    const ssize_t size =
        retry_on_interrupt([&] { return ::read(fd.get(), buffer.data(), buffer.size()); });
    if (size <= 0 || static_cast<std::size_t>(size) == buffer.size()) return std::nullopt;
    const PciIdentity identity =
        parse_uevent(std::string_view(buffer.data(), static_cast<std::size_t>(size)));
    if (!identity.is_complete()) return std::nullopt;
    if (is_gpu_class(*identity.class_code) && is_gpu_vendor(*identity.vendor)) return std::nullopt;
    return make_function(address, identity);
  }

 private:
  // A recorded entry is a link that must not lead out of its root. The live root has no outside, and the way down to the
  // directory need not be walked again for each.
  Fd open(const std::string& name) {
    constexpr int kFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    path_.resize(name_at_);
    (path_ += name) += "/uevent";
    if (fs_.is_live()) return Fd(::openat(devices_.fd(), path_.c_str(), kFlags));
    Result<Fd> fd = fs_.open_path(path_, kFlags);
    return fd ? std::move(*fd) : Fd();
  }

  const HostFs& fs_;
  const Dir& devices_;
  std::string path_;
  std::size_t name_at_;
};

std::string missing_parts(const PciIdentity& known) {
  std::string missing;
  const auto note = [&](bool present, const char* name) {
    if (!present) missing += (missing.empty() ? "`" : ", `") + std::string(name) + "`";
  };
  note(known.class_code.has_value(), "class");
  note(known.vendor.has_value(), "vendor");
  note(known.device.has_value(), "device");
  return missing;
}

void read_carefully(const HostFs& fs, const std::string& path, const PciAddress& address,
                    PciScan& scan) {
  ProblemSink problems(scan.problems, address.text());
  const Result<std::optional<Dir>> dir = fs.open_dir_if_present(path);
  if (!dir) {
    problems.add(dir.error());
    scan.broken.push_back({address, {}, true, "its directory cannot be opened"});
    return;
  }
  if (!*dir) {
    scan.broken.push_back({address, {}, false, "its directory is gone"});
    return;
  }
  PciIdentity identity = read_pci_identity(**dir, problems);
  if (identity.is_complete()) {
    scan.functions.push_back(make_function(address, identity));
    return;
  }
  if (!identity.driver) identity.driver = (*dir)->link_basename("driver").value_or(std::nullopt);
  const bool unreadable = problems.count() > 0;
  scan.broken.push_back({address, identity, unreadable,
                         missing_parts(identity) + (unreadable ? " cannot be read" : " missing")});
}

void scan_entry(const HostFs& fs, QuickReader& quick, const std::string& name, PciScan& scan) {
  const Result<PciAddress> address = PciAddress::parse(name);
  // The kernel writes an address in one way; two spellings would be two devices at one address.
  if (!address || address->text() != name) {
    return ProblemSink(scan.problems)
        .add({ErrorCode::malformed, 0, fs.where(path_of(name)),
              "its name is no PCI address like `0000:01:00.0`"});
  }
  if (std::optional<PciFunction> function = quick.read(name, *address)) {
    scan.functions.push_back(std::move(*function));
  } else {
    read_carefully(fs, path_of(name), *address, scan);
  }
}

}  // namespace

Result<PciScan> scan_pci(const HostFs& fs) {
  PciScan scan;
  const Result<std::optional<Dir>> dir = fs.open_dir_if_present(host_paths::kPciDevices);
  if (!dir) return fail(dir.error());
  if (!*dir) return scan;
  scan.bus_present = true;
  const Result<std::vector<std::string>> names = (*dir)->names();
  if (!names) return fail(names.error());
  scan.functions.reserve(names->size());
  QuickReader quick(fs, **dir);
  for (const std::string& name : *names) scan_entry(fs, quick, name, scan);
  const auto by_address = [](const auto& a, const auto& b) { return a.address < b.address; };
  // As a rule the order of the names is that of the addresses.
  if (!std::is_sorted(scan.functions.begin(), scan.functions.end(), by_address))
    std::sort(scan.functions.begin(), scan.functions.end(), by_address);
  std::sort(scan.broken.begin(), scan.broken.end(), by_address);
  return scan;
}

}  // namespace gpuctl::gpu
