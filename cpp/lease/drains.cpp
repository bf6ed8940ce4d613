// The files of drains, STATE/ledger/drain.UID: who may say that a unit gets no new jobs, and who said it last.
#include "drains.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>

#include "core.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/record.hpp"

namespace gpuctl::lease::internal {
namespace {

constexpr const char* kKind = "drain";
constexpr unsigned kVersion = 1;
constexpr std::string_view kPrefix = "drain.";
constexpr std::size_t kMaxBytes = std::size_t{1} << 20;

std::string name_for(uid_t uid) { return std::string(kPrefix) + std::to_string(uid); }

void store_drain(Record& record, std::size_t number, const Drain& drain) {
  const std::string prefix = std::to_string(number) + ".";
  record.set(prefix + "unit", drain.unit_id);
  record.set(prefix + "level", name_of(drain.level));
  record.set(prefix + "reason", drain.reason);
  record.set(prefix + "cause", drain.cause);
  record.set(prefix + "at", static_cast<std::uint64_t>(drain.at));
  if (drain.until) record.set(prefix + "until", static_cast<std::uint64_t>(*drain.until));
  record.set(prefix + "needs_check", std::uint64_t{drain.needs_check ? 1U : 0U});
  record.set(prefix + "lifted", std::uint64_t{drain.lifted ? 1U : 0U});
  record.set(prefix + "sequence", drain.sequence);
}

std::optional<Drain> load_drain(const Record& record, std::size_t number, uid_t uid) {
  const std::string prefix = std::to_string(number) + ".";
  const std::optional<std::string> unit = record.find(prefix + "unit");
  if (!unit) return std::nullopt;
  Drain drain;
  drain.unit_id = *unit;
  drain.level =
      drain_level(record.find(prefix + "level").value_or("")).value_or(DrainLevel::no_new_jobs);
  drain.reason = record.find(prefix + "reason").value_or("");
  drain.cause = record.find(prefix + "cause").value_or("administrator");
  drain.by_uid = uid;
  drain.at = static_cast<Usec>(record.get_unsigned(prefix + "at").value_or(0U));
  if (record.find(prefix + "until"))
    drain.until = static_cast<Usec>(record.get_unsigned(prefix + "until").value_or(0U));
  drain.needs_check = record.get_unsigned(prefix + "needs_check").value_or(0U) != 0;
  drain.lifted = record.get_unsigned(prefix + "lifted").value_or(0U) != 0;
  drain.sequence = record.get_unsigned(prefix + "sequence").value_or(0U);
  return drain;
}

Result<Record> read_file_of(const Core& core, uid_t uid) {
  const std::string name = name_for(uid);
  const Result<Fd> fd = open_at(core.dir.get(), name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fail(fd.error());
  struct stat status{};
  const bool seen = ::fstat(fd->get(), &status) == 0;
  const bool plain = seen && S_ISREG(status.st_mode) && (status.st_mode & 0022) == 0;
  if (!plain || (!core.in_user_namespace && status.st_uid != uid))
    return fail(ErrorCode::permission, name, "not a plain file of uid " + std::to_string(uid));
  const Result<std::string> text = read_all(fd->get(), kMaxBytes, name);
  return text ? Record::from_text(*text, kKind, kVersion, name) : fail(text.error());
}

std::vector<Drain> drains_of(const Core& core, uid_t uid, std::vector<Error>& problems) {
  std::vector<Drain> found;
  const Result<Record> record = read_file_of(core, uid);
  if (!record) {
    if (record.error().code != ErrorCode::not_found) problems.push_back(record.error());
    return found;
  }
  while (auto drain = load_drain(*record, found.size(), uid)) found.push_back(std::move(*drain));
  return found;
}

// Of each unit the latest word.
std::vector<Drain> latest(const std::vector<Drain>& words) {
  std::map<std::string, Drain> by_unit;
  for (const Drain& each : words) {
    const auto [place, is_new] = by_unit.emplace(each.unit_id, each);
    if (!is_new && each.sequence > place->second.sequence) place->second = each;
  }
  std::vector<Drain> found;
  for (auto& [unit, drain] : by_unit) found.push_back(std::move(drain));
  return found;
}

std::vector<Drain> all_words(const Core& core, const std::vector<uid_t>& users,
                             std::vector<Error>& problems) {
  std::vector<Drain> words;
  for (const uid_t uid : users) {
    if (!may_drain(core, uid)) continue;
    for (Drain& each : drains_of(core, uid, problems)) words.push_back(std::move(each));
  }
  return words;
}

}  // namespace

std::optional<uid_t> drains_owner(const std::string& name) {
  if (name.compare(0, kPrefix.size(), kPrefix) != 0) return std::nullopt;
  const Result<std::uint64_t> uid =
      parse_unsigned(std::string_view(name).substr(kPrefix.size()), "uid", 10, 0xfffffffe);
  return uid ? std::optional<uid_t>(static_cast<uid_t>(*uid)) : std::nullopt;
}

bool may_drain(const Core& core, uid_t uid) {
  return uid == 0 || uid == core.state_owner || core.drains_are_of_a_group;
}

std::vector<Drain> read_drains(const Core& core, const std::vector<uid_t>& users,
                               std::vector<Error>& problems) {
  std::vector<Drain> found = latest(all_words(core, users, problems));
  const Usec now = realtime_usec();
  found.erase(std::remove_if(found.begin(), found.end(),
                             [&](const Drain& each) {
                               return each.lifted || (each.until && *each.until <= now);
                             }),
              found.end());
  return found;
}

const Drain* find_drain(const std::vector<Drain>& drains, const Unit& unit) {
  const auto found = std::find_if(drains.begin(), drains.end(), [&](const Drain& each) {
    return each.unit_id == unit.id || unit.parent_id == each.unit_id ||
           (!unit.pci_address.empty() && each.unit_id == unit.pci_address);
  });
  return found == drains.end() ? nullptr : &*found;
}

// Our words about other units stay; about this one only the new word does.
Result<void> say(Core& core, Drain drain) {
  std::vector<Error> problems;
  for (const Drain& each : all_words(core, list(core).drains, problems))
    drain.sequence = std::max(drain.sequence, each.sequence + 1);
  std::vector<Drain> ours = drains_of(core, core.uid, problems);
  ours.erase(std::remove_if(ours.begin(), ours.end(),
                            [&](const Drain& each) { return each.unit_id == drain.unit_id; }),
             ours.end());
  ours.push_back(std::move(drain));
  Record record(kKind, kVersion);
  for (std::size_t i = 0; i < ours.size(); ++i) store_drain(record, i, ours[i]);
  const std::string name = name_for(core.uid);
  const mode_t before = ::umask(0022);
  Result<void> written = replace_file(core.dir.get(), name, record.to_text(), 0644);
  ::umask(before);
  return written;
}

}  // namespace gpuctl::lease::internal
