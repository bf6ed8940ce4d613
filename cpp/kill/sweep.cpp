#include "gpuctl/kill/sweep.hpp"

#include <algorithm>
#include <csignal>

#include "gpuctl/base/host_paths.hpp"

namespace gpuctl::kill {

void ask_to_end(Signaller& signaller, const std::vector<proc::Stat>& members, int signal) {
  for (const proc::Stat& member : members) {
    // A second TERM means "abort" to many frameworks: one per process.
    if (member.is_dead() || signaller.has_got(member, signal)) continue;
    if (signaller.send(member, signal) == Sent::yes) signaller.send(member, SIGCONT);
  }
}

void kill_now(Signaller& signaller, const std::vector<proc::Stat>& members) {
  for (const proc::Stat& member : members) {
    if (!member.is_dead()) signaller.send(member, SIGKILL);
  }
}

Usec round_delay(unsigned round) {
  constexpr Usec kStep = 20'000;
  return std::min<Usec>(kUsecPerSec, kStep * std::min(round, 50U));
}

std::vector<Survivor> describe_survivors(const HostFs& fs, const std::vector<proc::Stat>& members) {
  std::vector<Survivor> survivors;
  for (const proc::Stat& member : members) {
    if (member.is_dead()) continue;
    const std::string wchan =
        std::string(host_paths::kProc) + "/" + std::to_string(member.pid) + "/wchan";
    survivors.push_back({member.pid, member.name, member.state, fs.read_file(wchan).value_or("")});
  }
  return survivors;
}

}  // namespace gpuctl::kill
