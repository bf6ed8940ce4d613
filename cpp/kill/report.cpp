#include "gpuctl/kill/report.hpp"

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/cgroup/home.hpp"

namespace gpuctl::kill {
namespace {

std::optional<std::string> read_about(const HostFs& fs, pid_t pid, const char* file) {
  const Result<std::string> text =
      fs.read_file(std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/" + file);
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

// "257 0xffffff9c ..." while it is in a system call, "running" otherwise; root's to read.
std::optional<std::string> system_call(const HostFs& fs, pid_t pid) {
  const std::optional<std::string> text = read_about(fs, pid, "syscall");
  if (!text || text->empty()) return std::nullopt;
  return text->substr(0, text->find(' '));
}

std::optional<std::string> cgroup_of(const HostFs& fs, pid_t pid) {
  const std::optional<std::string> text = read_about(fs, pid, "cgroup");
  if (!text) return std::nullopt;
  const Result<cgroup::Home> home = cgroup::parse_home(*text);
  return home ? std::optional<std::string>(home->path) : std::nullopt;
}

Json survivors_json(const std::vector<Survivor>& survivors) {
  Json list = Json::array();
  for (const Survivor& each : survivors) {
    list.push_back({{"pid", each.pid},
                    {"name", each.name},
                    {"state", std::string(1, each.state)},
                    {"wchan", each.wchan},
                    {"syscall", json_or_null(each.syscall)},
                    {"cgroup", json_or_null(each.cgroup)}});
  }
  return list;
}

Json refused_json(const std::vector<Refusal>& refused) {
  Json list = Json::array();
  for (const Refusal& each : refused) {
    list.push_back({{"pid", each.pid}, {"name", each.name}, {"reason", each.reason}});
  }
  return list;
}

}  // namespace

std::vector<Survivor> describe_survivors(const HostFs& fs, const std::vector<proc::Stat>& members) {
  std::vector<Survivor> survivors;
  for (const proc::Stat& each : members) {
    if (each.is_dead()) continue;
    survivors.push_back({each.pid, each.name, each.state,
                         read_about(fs, each.pid, "wchan").value_or(""), system_call(fs, each.pid),
                         cgroup_of(fs, each.pid)});
  }
  return survivors;
}

Json to_json(const Report& report) {
  return {{"method", report.method},
          {"proof", report.proof.empty() ? Json(nullptr) : Json(report.proof)},
          {"signalled", report.signalled},
          {"killed", report.killed},
          {"survivors", survivors_json(report.survivors)},
          {"refused", refused_json(report.refused)},
          {"unreaped", report.unreaped},
          {"rounds", report.rounds},
          {"elapsed_usec", report.elapsed_usec}};
}

}  // namespace gpuctl::kill
