#include "gpuctl/proc/json.hpp"

#include <unistd.h>

#include "gpuctl/base/clock.hpp"

namespace gpuctl::proc {
namespace {

std::uint64_t usec_of(std::uint64_t ticks) {
  return ticks * static_cast<std::uint64_t>(1'000'000 / ::sysconf(_SC_CLK_TCK));
}

Json started_at(const TreeMember& member, const Tree& tree) {
  if (!tree.boot_usec) return nullptr;
  return format_rfc3339(static_cast<Usec>(*tree.boot_usec + usec_of(member.stat.start_ticks)));
}

Json found_by(const TreeMember& member) {
  Json ways = Json::array();
  for (const FoundBy way : member.found_by) ways.push_back(name_of(way));
  return ways;
}

Json to_json(const TreeMember& member, const Tree& tree) {
  const Stat& stat = member.stat;
  return {{"pid", stat.pid},
          {"ppid", stat.ppid},
          {"pgid", stat.pgrp},
          {"sid", stat.session},
          {"uid", json_or_null(member.uid)},
          {"name", stat.name},
          {"state", std::string(1, stat.state)},
          {"alive", !stat.is_dead()},
          {"threads", stat.threads},
          {"depth", member.depth},
          {"start_ticks", stat.start_ticks},
          {"started_at", started_at(member, tree)},
          {"utime_usec", usec_of(stat.utime_ticks)},
          {"stime_usec", usec_of(stat.stime_ticks)},
          {"rss_bytes", stat.rss_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE))},
          {"gpu_nodes", json_or_null(member.gpu_nodes)},
          {"found_by", found_by(member)}};
}

}  // namespace

Json to_json(const Tree& tree, const std::string& by, const std::string& value) {
  Json processes = Json::array();
  for (const TreeMember& member : tree.members) processes.push_back(to_json(member, tree));
  Json problems = Json::array();
  for (const Error& problem : tree.problems)
    problems.push_back({{"code", gpuctl::name_of(problem.code)}, {"detail", problem.message()}});
  return {{"schema", "gpuctl.tree/1"},
          {"of", {{"by", by}, {"value", value}}},
          {"processes", std::move(processes)},
          {"problems", std::move(problems)}};
}

}  // namespace gpuctl::proc
