// Draining: by the administrator, and by the health rules.
#include <fcntl.h>

#include <algorithm>

#include "core.hpp"
#include "drains.hpp"
#include "gpuctl/base/record.hpp"

namespace gpuctl::lease {
namespace {

constexpr std::uint64_t kHungInARow = 3;  // one may be the driver at work
constexpr const char* kProbesKind = "probes";

std::string probes_name(uid_t uid) { return "probes." + std::to_string(uid); }

// How many probes of each unit hung in a row, as this user has seen them since boot.
class ProbeCounts {
 public:
  explicit ProbeCounts(const internal::Core& core)
      : core_(core), name_(probes_name(core.uid)), record_(kProbesKind, 1) {
    Result<Record> known = read_record(core.dir.get(), name_, kProbesKind, 1);
    if (known && known->find("boot_id") == core.here.boot_id) record_ = std::move(*known);
    record_.set("boot_id", core.here.boot_id);
  }

  std::uint64_t of(const std::string& unit_id) const {
    return record_.get_unsigned("hung." + unit_id).value_or(0U);
  }

  // A question that was asked before the last one was given up is no other one: two programs that ask at once are one probe.
  bool is_another(const std::string& unit_id, Usec asked_boot) const {
    const auto last = static_cast<Usec>(record_.get_unsigned("at." + unit_id).value_or(0U));
    return of(unit_id) == 0 || asked_boot >= last;
  }

  Result<void> set(const std::string& unit_id, std::uint64_t count) {
    record_.set("hung." + unit_id, count);
    record_.set("at." + unit_id, static_cast<std::uint64_t>(boottime_usec()));
    return write_record(core_.dir.get(), name_, record_);
  }

 private:
  const internal::Core& core_;
  std::string name_;
  Record record_;
};

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

// A quarantine must not weaken what an administrator has ordered.
bool gets_no_jobs(internal::Core& core, const std::string& unit_id) {
  std::vector<Error> problems;
  const std::vector<Drain> drains =
      internal::read_drains(core, internal::list(core).drains, problems);
  return std::any_of(drains.begin(), drains.end(), [&](const Drain& each) {
    return each.unit_id == unit_id && each.level != DrainLevel::inform;
  });
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
  for (Drain& each : internal::read_drains(*impl_, internal::list(*impl_).drains, problems)) {
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
    if (ProbeCounts counts(*impl_); counts.of(unit_id) > 0)  // what it did before is judged
      static_cast<void>(counts.set(unit_id, 0).has_value());
    return write_word(*impl_, word);
  }
  return fail(ErrorCode::not_found, unit_id, "it is not drained");
}

Result<std::optional<Drain>> Ledger::note_probe(const std::string& unit_id, bool hung,
                                                Usec asked_ago) {
  if (Result<void> may = require_right(*impl_); !may) return fail(may.error());
  Result<internal::Critical> critical = internal::Critical::enter(*impl_);
  if (!critical) return fail(critical.error());
  ProbeCounts counts(*impl_);
  const std::uint64_t before = counts.of(unit_id);
  const bool counts_now = hung && counts.is_another(unit_id, boottime_usec() - asked_ago);
  if (hung ? !counts_now : before == 0) return std::optional<Drain>();
  const std::uint64_t count = hung ? before + 1 : 0;
  const bool enough = count >= kHungInARow;
  if (Result<void> written = counts.set(unit_id, enough ? 0 : count); !written)
    return fail(written.error());
  if (!enough || gets_no_jobs(*impl_, unit_id)) return std::optional<Drain>();
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
