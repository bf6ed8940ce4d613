// TarWriter: an archive of directories, files and symbolic links as any tar reads it (POSIX ustar, long names as GNU's
// type L and K).
//
// What it writes depends on what it is given alone: no times, no owners, so that equal trees are equal archives.
// The caller keeps the text and writes it where it wants. Not for several threads at once.
//
//   TarWriter tar;
//   tar.add_file("sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
//   write_all(fd, tar.finish(), "node.tar");
#pragma once

#include <string>
#include <string_view>

#include "gpuctl/base/result.hpp"

namespace gpuctl {

class TarWriter {
 public:
  void add_directory(const std::string& path);
  void add_file(const std::string& path, std::string_view content);
  void add_link(const std::string& path, const std::string& target);

  // The whole archive, with its end mark. Nothing may be added after it.
  std::string finish();

 private:
  void add(char type, const std::string& path, const std::string& target, std::string_view content);
  void add_long(char type, const std::string& text);

  std::string archive_;
};

bool is_tar(std::string_view archive);

// Directories, plain files and symbolic links of an archive below `dir_fd`, whoever wrote it: long names also as pax
// records. What leaves the directory (an absolute name, `..`, a way through a link) and what is neither of the three is
// passed over, and so is what is there already. ErrorCode::malformed for an archive that is cut or no archive, io when it
// cannot be written; what came before is there then.
Result<void> unpack(std::string_view archive, int dir_fd, const std::string& path);

}  // namespace gpuctl
