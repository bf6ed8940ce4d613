// Draining: by the administrator, and by the health rules.
#include <fcntl.h>

#include "core.hpp"
#include "drains.hpp"
#include "gpuctl/base/record.hpp"

namespace gpuctl::lease {
namespace {

constexpr std::uint64_t kHungInARow = 3;  // one may be the driver at work
constexpr const char* kProbesKind = "probes";

std::string probes_name(uid_t uid) { return "probes." + std::to_string(uid); }

Result<void> require_right(const internal::Core& core) {
  if (internal::may_drain(core, core.uid)) return {};
  return fail(ErrorCode::permission, core.path,
              "drains are for root, the owner of the state directory, or the group it belongs to");
}

Drain drain_of(const internal::Core& core, const DrainOrder& order) {
  Drain drain;
  drain.unit_id = order.unit_id;
  drain.level = order.level;
  drain.reason = order.reason;
  drain.cause = order.cause;
  drain.by_uid = core.uid;
  drain.at = realtime_usec();
  if (order.for_usec) drain.until = drain.at + *order.for_usec;
  drain.needs_check = order.needs_check;
  return drain;
}

Result<Drain> write_word(internal::Core& core, const Drain& drain) {
  const std::string reason = drain.cause + ", " + name_of(drain.level) + ": " + drain.reason;
  if (Result<void> told = core.audit.write_about(
          core.dir.get(), drain.lifted ? "undrained" : "drained", drain.unit_id, reason);
      !told)
    return fail(told.error());
  if (Result<void> said = internal::say(core, drain); !said) return fail(said.error());
  return drain;
}

}  // namespace

Result<Drain> Ledger::drain(const DrainOrder& order) {
  if (Result<void> may = require_right(*impl_); !may) return fail(may.error());
  Result<internal::Critical> critical = internal::Critical::enter(*impl_);
  if (!critical) return fail(critical.error());
  return write_word(*impl_, drain_of(*impl_, order));
}

Result<Drain> Ledger::undrain(const std::string& unit_id, const std::string& reason,
                              bool check_passed) {
  if (Result<void> may = require_right(*impl_); !may) return fail(may.error());
  Result<internal::Critical> critical = internal::Critical::enter(*impl_);
  if (!critical) return fail(critical.error());
  std::vector<Error> problems;
  for (Drain& each : internal::read_drains(*impl_, internal::names_in(*impl_), problems)) {
    if (each.unit_id != unit_id) continue;
    if (each.needs_check && !check_passed) {
      return fail(ErrorCode::unavailable, unit_id,
                  "its drain is lifted only by a check that passes: `gpuctl undrain " + unit_id +
                      " -- CHECK`");
    }
    Drain word = each;
    word.lifted = true;
    word.reason = reason;
    word.cause = check_passed ? "check passed" : "administrator";
    word.at = realtime_usec();
    word.by_uid = impl_->uid;
    word.until.reset();
    return write_word(*impl_, word);
  }
  return fail(ErrorCode::not_found, unit_id, "it is not drained");
}

Result<std::optional<Drain>> Ledger::note_probe(const std::string& unit_id, bool hung) {
  if (Result<void> may = require_right(*impl_); !may) return fail(may.error());
  Result<internal::Critical> critical = internal::Critical::enter(*impl_);
  if (!critical) return fail(critical.error());
  const std::string name = probes_name(impl_->uid);
  Result<Record> known = read_record(impl_->dir.get(), name, kProbesKind, 1);
  Record record = known ? std::move(*known) : Record(kProbesKind, 1);
  const std::string key = "hung." + unit_id;
  const std::uint64_t count = hung ? record.get_unsigned(key).value_or(0U) + 1 : 0;
  record.set(key, count);
  if (Result<void> written = write_record(impl_->dir.get(), name, record); !written)
    return fail(written.error());
  if (count < kHungInARow) return std::optional<Drain>();
  DrainOrder order;
  order.unit_id = unit_id;
  order.cause = "health";
  order.reason = std::to_string(count) + " probes in a row were not answered in time";
  order.needs_check = true;
  Result<Drain> drain = write_word(*impl_, drain_of(*impl_, order));
  if (!drain) return fail(drain.error());
  return std::optional<Drain>(std::move(*drain));
}

}  // namespace gpuctl::lease
