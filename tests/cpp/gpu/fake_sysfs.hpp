// FakeSysfs: a small sysfs in a temporary directory, for the readers' tests. Removed at the end.
//
//   FakeSysfs sysfs;
//   sysfs.add_function("0000:01:00.0", {{"class", "0x030200"}, {"vendor", "0x10de"}, {"device", "0x20b0"}});
//   Result<PciScan> scan = scan_pci(sysfs.fs());
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::gpu::test {

class FakeSysfs {
 public:
  using Files = std::initializer_list<std::pair<const char*, std::string>>;

  FakeSysfs() {
    std::string name = (std::filesystem::temp_directory_path() / "gpuctl-gpu-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    root_ = name;
    std::filesystem::create_directories(root_ / "sys/bus/pci/devices");
    std::filesystem::create_directories(root_ / "sys/class/drm");
  }
  ~FakeSysfs() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  FakeSysfs(const FakeSysfs&) = delete;
  FakeSysfs& operator=(const FakeSysfs&) = delete;

  HostFs fs() const {
    Result<HostFs> opened = HostFs::open(root_.string());
    if (!opened) throw std::runtime_error(opened.error().message());
    return std::move(*opened);
  }

  std::filesystem::path device(const std::string& address) const {
    return root_ / "sys/devices/pci0000:00" / address;
  }

  // The function's directory is elsewhere and linked, as in the kernel.
  void add_function(const std::string& address, Files files) const {
    const std::filesystem::path folder = device(address);
    std::filesystem::create_directories(folder);
    for (const auto& [name, text] : files) write(folder / name, text);
    std::filesystem::create_symlink("../../../devices/pci0000:00/" + address,
                                    root_ / "sys/bus/pci/devices" / address);
  }

  void bind(const std::string& address, const std::string& driver) const {
    std::filesystem::create_symlink("../../../bus/pci/drivers/" + driver,
                                    device(address) / "driver");
  }

  void write(const std::filesystem::path& path, const std::string& text) const {
    const std::filesystem::path absolute = path.is_absolute() ? path : root_ / path;
    std::filesystem::create_directories(absolute.parent_path());
    std::ofstream(absolute) << text << '\n';
  }

  const std::filesystem::path& root() const { return root_; }

 private:
  std::filesystem::path root_;
};

}  // namespace gpuctl::gpu::test
