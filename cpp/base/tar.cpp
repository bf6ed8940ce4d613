#include "gpuctl/base/tar.hpp"

#include <array>
#include <cstdio>
#include <cstring>
#include <numeric>

namespace gpuctl {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kNameSize = 100;

// The fields of a ustar header (POSIX, pax): text without a NUL where it fills its field, numbers in octal.
struct Header {
  char name[kNameSize];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char target[kNameSize];
  char magic[6];
  char version[2];
  char rest[247];
};
static_assert(sizeof(Header) == kBlock);

template <std::size_t N>
void put_text(char (&field)[N], const std::string& text) {
  std::memcpy(field, text.data(), std::min(N, text.size()));
}

template <std::size_t N>
void put_octal(char (&field)[N], std::size_t value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%0*zo", static_cast<int>(N - 1), value);
  std::memcpy(field, text.data(), N);
}

void seal(Header& header) {
  std::memset(header.checksum, ' ', sizeof header.checksum);
  const auto* bytes = reinterpret_cast<const unsigned char*>(&header);
  const unsigned sum = std::accumulate(bytes, bytes + sizeof header, 0U);
  std::snprintf(header.checksum, sizeof header.checksum, "%06o", sum);
  header.checksum[7] = ' ';
}

const char* mode_of(char type) { return type == '5' || type == '2' ? "0000755" : "0000644"; }

}  // namespace

void TarWriter::add(char type, const std::string& path, const std::string& target,
                    std::string_view content) {
  if (path.size() > kNameSize) add_long('L', path);
  if (target.size() > kNameSize) add_long('K', target);
  Header header{};
  put_text(header.name, path);
  put_text(header.mode, mode_of(type));
  put_octal(header.uid, 0);
  put_octal(header.gid, 0);
  put_octal(header.size, content.size());
  put_octal(header.mtime, 0);
  header.type = type;
  put_text(header.target, target);
  std::memcpy(header.magic, "ustar", 6);
  std::memcpy(header.version, "00", 2);
  seal(header);
  archive_.append(reinterpret_cast<const char*>(&header), sizeof header);
  archive_.append(content);
  archive_.append((kBlock - content.size() % kBlock) % kBlock, '\0');
}

void TarWriter::add_long(char type, const std::string& text) {
  add(type, "././@LongLink", "", std::string_view(text.c_str(), text.size() + 1));
}

void TarWriter::add_directory(const std::string& path) { add('5', path + "/", "", ""); }

void TarWriter::add_file(const std::string& path, std::string_view content) {
  add('0', path, "", content);
}

void TarWriter::add_link(const std::string& path, const std::string& target) {
  add('2', path, target, "");
}

std::string TarWriter::finish() {
  archive_.append(2 * kBlock, '\0');
  return std::move(archive_);
}

}  // namespace gpuctl
