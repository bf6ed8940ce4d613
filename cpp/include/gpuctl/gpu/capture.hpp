// Capture: what the readers of this room need of a node, so that another machine can read it with `--root`.
//
// Names of people and machines do not go in: no serial numbers, no host name, no user names; UUIDs and AMD's unique ids
// are replaced by made-up ones, each by the same one wherever it stands, so that what belongs together still does.
// Device nodes are not taken (unpacking would need a privilege); which are there is in the text `device-nodes`.
//
//   Scrubber scrubber({host_name, user});
//   Capture capture = capture_node(fs, scrubber);
//   for (const CapturedFile& each : capture.files) tar.add_file(each.path, each.text);
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/problem.hpp"

namespace gpuctl::gpu {

// Replaces what tells who and where. The same scrubber for all texts of one capture. Not for several threads at once.
class Scrubber {
 public:
  // `words`: host and user names; shorter ones than three letters are left alone, they would be found everywhere.
  explicit Scrubber(std::vector<std::string> words);

  // A number that identifies a card: known from now on, in hexadecimal and in decimal.
  void learn_unique_id(std::uint64_t id);

  std::string scrub(std::string_view text);

 private:
  std::string replace_uuids(std::string_view text);
  std::string replace_words(std::string text) const;

  std::vector<std::pair<std::string, std::string>> words_;  // longest first
  std::map<std::string, std::string> uuids_;
  std::set<std::uint64_t> unique_ids_;
};

struct CapturedFile {
  enum class Kind { file, directory, link };
  Kind kind = Kind::file;
  std::string path;  // relative, as below `--root`
  std::string text;  // the content, or where the link leads
};

struct Capture {
  std::vector<CapturedFile> files;  // parents before what is in them
  std::vector<Problem> problems;
};

Capture capture_node(const HostFs& fs, Scrubber& scrubber);

}  // namespace gpuctl::gpu
