// How one process becomes a Row: its stat line, and the optional columns in files of their own.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "gpuctl/proc/snapshot.hpp"
#include "proc_dir.hpp"

namespace gpuctl::proc::internal {

// False where it is no stat line. Leaves `uid` alone.
bool fill_from_stat(std::string_view stat, Row& row);

// What one try to read a process came to.
enum class Took {
  yes,
  gone,        // it has ended
  forbidden,   // hidepid=1
  no_resource  // descriptors or memory ran out: with an answer now, processes would be missing
};
Took outcome_of_errno(int errno_value);

// Texts of a column by number, each once.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string>& texts) : texts_(texts) {}
  std::int32_t index_of(std::string_view text);

 private:
  std::vector<std::string>& texts_;
  std::map<std::string, std::int32_t, std::less<>> numbers_;
};

// Reads the columns that were asked for. What cannot be read (another user's) stays unknown in its row.
class OptionalColumns {
 public:
  OptionalColumns(const SnapshotOptions& options, Snapshot& into);
  void read(ProcDir& proc, Row& row);

 private:
  void read_cgroup(ProcDir& proc, Row& row);
  void read_marker(ProcDir& proc, Row& row);
  static void read_pss(ProcDir& proc, Row& row);
  static void read_io(ProcDir& proc, Row& row);

  const SnapshotOptions& options_;
  TextTable cgroups_;
  TextTable markers_;
};

// Pure parsers of the files.
std::optional<std::string_view> cgroup_in(std::string_view cgroup_file);
std::optional<std::string_view> variable_in(std::string_view environment, std::string_view name);
std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view key);

}  // namespace gpuctl::proc::internal
