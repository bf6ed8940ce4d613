#include "table_record.hpp"

#include <limits>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::lease::internal {
namespace {

constexpr const char* kKind = "lease";
constexpr const char* kPayloadKind = "payload";
constexpr std::size_t kMaxCommandBytes = 256;
constexpr unsigned kAnyVersion = std::numeric_limits<unsigned>::max();

void store_unit(Record& record, std::size_t number, const Unit& unit) {
  const std::string group = "unit." + std::to_string(number);
  record.add(group, "id", unit.id);
  record.add(group, "pci", unit.pci_address);
  if (unit.uuid) record.add(group, "uuid", *unit.uuid);
  if (unit.parent_id) record.add(group, "parent", *unit.parent_id);
}

std::vector<Unit> load_units(const Record& record) {
  std::vector<Unit> units;
  while (true) {
    const std::string prefix = "unit." + std::to_string(units.size()) + ".";
    const std::optional<std::string> id = record.find(prefix + "id");
    if (!id) return units;
    units.push_back({*id, record.find(prefix + "pci").value_or(""), record.find(prefix + "uuid"),
                     record.find(prefix + "parent")});
  }
}

void store_job(Record& record, const JobName& job) {
  record.add("job.id", job.id);
  record.add("job.resubmission", std::uint64_t{job.resubmission});
  record.add("job.nonce", job.nonce);
}

std::optional<JobName> load_job(const Record& record) {
  const std::optional<std::string> id = record.find("job.id");
  if (!id) return std::nullopt;
  const auto resubmission = record.get_unsigned("job.resubmission").value_or(0U);
  return JobName{*id, static_cast<unsigned>(resubmission), record.find("job.nonce").value_or("")};
}

State state_of(EntryState state) {
  switch (state) {
    case EntryState::waiting: return State::waiting;
    case EntryState::prepared: return State::prepared;
    case EntryState::releasing: return State::releasing;
    default: return State::held;
  }
}

void load_body(Stored& stored, const std::string& text, const std::string& path) {
  const Result<Record> record = Record::from_text(text, kKind, kAnyVersion, path);
  if (!record) {
    stored.defect = record.error().message();
    return;
  }
  Lease& lease = stored.lease;
  lease.version = record->version();
  lease.units = load_units(*record);
  lease.nonce = record->find("nonce").value_or("");
  lease.id = lease.nonce.substr(0, 16);
  lease.job = load_job(*record);
  lease.command = record->find("command").value_or("");
  if (record->find("expires_at"))
    lease.expires_at = static_cast<Usec>(record->get_unsigned("expires_at").value_or(0U));
  stored.wanted = record->get_unsigned("wanted").value_or(0U);
  stored.lease.granted_boot = static_cast<Usec>(record->get_unsigned("granted_boot").value_or(0U));
  stored.candidates = record->find_list("candidate");
  stored.owner_cgroup = record->find("owner_cgroup");
  const Result<proc::Identity> holder = proc::load_identity(*record, "holder");
  if (holder) {
    lease.holder = *holder;
  } else {
    stored.defect = holder.error().message();
  }
  if (lease.version > kRecordVersion)
    stored.defect = "its record is of version " + std::to_string(lease.version) +
                    ", newer than this gpuctl knows";
}

void load_payload(Stored& stored, const std::string& text, const std::string& path) {
  const Result<Record> record = Record::from_text(text, kPayloadKind, kAnyVersion, path);
  if (!record) return;
  Payload payload;
  if (Result<proc::Identity> init = proc::load_identity(*record, "init")) payload.init = *init;
  if (Result<proc::Identity> supervisor = proc::load_identity(*record, "supervisor"))
    payload.supervisor = *supervisor;
  payload.cgroup_path = record->find("cgroup");
  payload.cgroup_inode = record->get_unsigned("cgroup_inode").value_or(0U);
  stored.lease.payload = std::move(payload);
}

}  // namespace

std::string body_text(const Stored& stored) {
  const Lease& lease = stored.lease;
  Record record(kKind, kRecordVersion);
  record.add("nonce", lease.nonce);
  store(record, "holder", lease.holder);
  if (lease.job) store_job(record, *lease.job);
  record.add("command", std::string_view(lease.command).substr(0, kMaxCommandBytes));
  record.add("wanted", std::uint64_t{stored.wanted});
  record.add("granted_boot", static_cast<std::uint64_t>(stored.lease.granted_boot));
  if (lease.expires_at) record.add("expires_at", static_cast<std::uint64_t>(*lease.expires_at));
  if (stored.owner_cgroup) record.add("owner_cgroup", *stored.owner_cgroup);
  for (std::size_t i = 0; i < lease.units.size(); ++i) store_unit(record, i, lease.units[i]);
  record.set_list("candidate", stored.candidates);
  return record.to_text();
}

std::string payload_text(const Payload& payload) {
  Record record(kPayloadKind, kRecordVersion);
  if (payload.init) store(record, "init", *payload.init);
  if (payload.supervisor) store(record, "supervisor", *payload.supervisor);
  if (payload.cgroup_path) record.set("cgroup", *payload.cgroup_path);
  record.set("cgroup_inode", payload.cgroup_inode);
  return record.to_text();
}

Stored load(const Table& table, const Slot& slot) {
  Stored stored;
  stored.slot = slot.index;
  stored.entry = slot.entry;
  stored.lease.uid = table.uid();
  stored.lease.state = slot.damaged ? State::held : state_of(slot.entry.state);
  stored.lease.way = slot.entry.way == 1 ? Way::recorded : Way::held;
  stored.lease.since = slot.damaged ? 0 : slot.entry.since;
  stored.lease.ticket = slot.damaged ? 0 : slot.entry.ticket;
  const std::string path = table_name(table.uid());
  const Result<std::string> body = table.body(slot);
  if (!body) {
    stored.defect = body.error().message();
    return stored;
  }
  load_body(stored, *body, path);
  if (slot.damaged && !stored.defect) stored.defect = "its entry is damaged";
  if (!slot.damaged && slot.entry.payload_bytes > 0) {
    if (const Result<std::string> payload = table.payload(slot))
      load_payload(stored, *payload, path);
  }
  return stored;
}

std::uint64_t nonce_head(const std::string& nonce) {
  return parse_unsigned(std::string_view(nonce).substr(0, 16), "nonce", 16).value_or(0U);
}

}  // namespace gpuctl::lease::internal
