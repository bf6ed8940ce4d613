#include "tree_text.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::app {
namespace {

// Deeper lines are not moved further to the right: a chain of 10,000 processes must stay readable, and small.
constexpr std::size_t kMaxDrawnDepth = 40;

struct Strokes {
  const char* child;
  const char* last_child;
  const char* pass;
  const char* blank;
};
constexpr Strokes kUnicode = {"├─ ", "└─ ", "│  ", "   "};
constexpr Strokes kAscii = {"|- ", "`- ", "|  ", "   "};

std::string format(const char* pattern, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

std::string memory_text(std::uint64_t pages) {
  const double mib =
      static_cast<double>(pages) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1024.0 * 1024.0);
  return mib < 1024.0 ? format("%.1f MiB", mib) : format("%.1f GiB", mib / 1024.0);
}

std::string cpu_text(const proc::Stat& stat) {
  const double seconds = static_cast<double>(stat.utime_ticks + stat.stime_ticks) /
                         static_cast<double>(::sysconf(_SC_CLK_TCK));
  return format("%.2f s", seconds);
}

// It bears the job's mark or is in its namespace, and is nobody's descendant there.
bool is_apart(const proc::TreeMember& member) {
  const auto by = [&](proc::FoundBy how) { return member.found_by.count(how) != 0; };
  return member.depth == 0 && !by(proc::FoundBy::root) && !by(proc::FoundBy::kinship) &&
         !by(proc::FoundBy::cgroup);
}

// Names are the payload's choice: printable() keeps control characters off the terminal.
std::string label(const proc::TreeMember& member) {
  const proc::Stat& stat = member.stat;
  std::string text = printable(stat.name);
  if (stat.is_dead()) text += " (dead, not reaped)";
  if (stat.state == 'Z' && !stat.is_dead()) text += " (first thread ended, others live)";
  if (is_apart(member)) text += " (left the tree)";
  if (!member.gpu_nodes) return text + " [open files unknown]";
  if (member.gpu_nodes->empty()) return text;
  std::string nodes;
  for (const std::string& node : *member.gpu_nodes) nodes += (nodes.empty() ? "" : " ") + node;
  return text + " [" + nodes + "]";
}

// For each line whether a later one has the same parent.
std::vector<bool> have_later_sibling(const std::vector<proc::TreeMember>& members) {
  std::vector<bool> later(members.size(), false);
  std::vector<bool> open;  // by depth, read from the end
  for (std::size_t i = members.size(); i-- > 0;) {
    const std::size_t depth = members[i].depth;
    later[i] = depth < open.size() && open[depth];
    open.resize(depth + 1, false);
    open[depth] = true;
  }
  return later;
}

// The strokes left of each name; `passing` holds, by depth, whether a line goes on downwards.
class Drawing {
 public:
  explicit Drawing(const Strokes& strokes) : strokes_(strokes) {}

  std::string left_of(std::size_t depth, bool later_sibling) {
    passing_.resize(std::max(passing_.size(), depth + 1), false);
    passing_[depth] = later_sibling;
    std::string text;
    const std::size_t shown = std::min(depth, kMaxDrawnDepth);
    for (std::size_t level = 1; level < shown; ++level)
      text += passing_[level] ? strokes_.pass : strokes_.blank;
    if (depth > kMaxDrawnDepth) text += "(" + std::to_string(depth) + ") ";
    return depth == 0 ? text : text + (later_sibling ? strokes_.child : strokes_.last_child);
  }

 private:
  const Strokes& strokes_;
  std::vector<bool> passing_;
};

std::string pad_left(const std::string& text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

}  // namespace

std::string tree_text(const proc::Tree& tree, bool unicode) {
  Drawing drawing(unicode ? kUnicode : kAscii);
  const std::vector<bool> later = have_later_sibling(tree.members);
  std::string text = "    PID  STATE         CPU      MEMORY  PROCESS\n";
  for (std::size_t i = 0; i < tree.members.size(); ++i) {
    const proc::TreeMember& member = tree.members[i];
    text += pad_left(std::to_string(member.stat.pid), 7) + "  " + member.stat.state + "    " +
            pad_left(cpu_text(member.stat), 12) + "  " +
            pad_left(memory_text(member.stat.rss_pages), 10) + "  " +
            drawing.left_of(member.depth, later[i]) + label(member) + "\n";
  }
  return text;
}

}  // namespace gpuctl::app
