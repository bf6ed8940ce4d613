#include "held.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>

#include "steps.hpp"

namespace gpuctl::lease {
namespace {

using internal::Critical;
using internal::EntryState;

// Ours in the table as it is now; nullopt when the table lost it.
std::optional<internal::Slot> find_slot(const internal::Core& core,
                                        const internal::Stored& stored) {
  for (const internal::Slot& slot : core.own->slots()) {
    const bool ours = slot.index == stored.slot && !slot.damaged &&
                      slot.entry.nonce_head == stored.entry.nonce_head;
    if (ours) return slot;
  }
  return std::nullopt;
}

// The record is what a live holder says it is.
Result<void> write_anew(internal::Core& core, internal::Stored& stored) {
  const std::string text = internal::body_text(stored);
  stored.entry.body_bytes = static_cast<std::uint32_t>(text.size());
  stored.entry.payload_bytes = 0;
  if (Result<void> told = core.audit.write(core.dir.get(), "repaired", stored.lease,
                                           "the table had lost it; its holder lives");
      !told)
    return told;
  if (Result<void> room = core.own->make_room(stored.slot); !room) return room;
  if (Result<void> body = core.own->write_body(stored.slot, text); !body) return body;
  if (stored.lease.payload) {
    const std::string payload = internal::payload_text(*stored.lease.payload);
    if (core.own->write_payload(stored.slot, payload))
      stored.entry.payload_bytes = static_cast<std::uint32_t>(payload.size());
  }
  stored.entry.state = EntryState::held;
  stored.entry.published = 1;  // perhaps
  return core.own->write_entry(stored.slot, stored.entry);
}

Result<void> write_payload(internal::Core& core, internal::Stored& stored) {
  const std::string text = internal::payload_text(*stored.lease.payload);
  if (Result<void> written = core.own->write_payload(stored.slot, text); !written) return written;
  stored.entry.payload_bytes = static_cast<std::uint32_t>(text.size());
  return core.own->write_entry(stored.slot, stored.entry);
}

Result<void> begin_release(internal::Core& core, internal::Stored& stored, const Proof& proof) {
  const std::string reason =
      proof.unknown.value_or(std::to_string(proof.blockers.size()) + " processes keep it");
  return set_state(core, stored, EntryState::releasing, "releasing", reason);
}

// From held to free at once: whoever comes upon it between the two finds a holder that is gone. A log that cannot be
// written must not keep the units.
Result<void> finish_release(internal::Core& core, internal::Stored& stored, const Proof& proof) {
  static_cast<void>(
      core.audit.write_release(core.dir.get(), stored.lease, "proof: " + proof.how).has_value());
  return internal::write_free(core, *core.own, stored);
}

}  // namespace

Held::Held(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Held::Held(Held&&) noexcept = default;

// What is replaced is dropped as the destructor drops it.
Held& Held::operator=(Held&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}

Held::~Held() {
  if (!impl_ || impl_->let_go || !impl_->core->process.is_here()) return;
  for (internal::UnitLock& lock : impl_->locks) lock.unlock();
  if (impl_->core->own) impl_->core->own->unlock_slot(impl_->stored.slot);
  impl_->core->our_slots.erase(impl_->stored.slot);
}

const Lease& Held::lease() const { return impl_->stored.lease; }

Result<void> Held::note_payload(const Payload& payload) {
  internal::Core& core = *impl_->core;
  internal::Stored& stored = impl_->stored;
  Result<Critical> critical = internal::enter_and_read(core);
  if (!critical) return fail(critical.error());
  stored.lease.payload = payload;
  if (!find_slot(core, stored)) return write_anew(core, stored);
  return write_payload(core, stored);
}

Result<void> Ledger::note_payload(const std::string& lease_id, const JobName& job,
                                  const Payload& payload) {
  Result<Critical> critical = internal::enter_and_read(*impl_);
  if (!critical) return fail(critical.error());
  for (const internal::Slot& slot : impl_->own->slots()) {
    internal::Stored stored = internal::load(*impl_->own, slot);
    if (stored.lease.id != lease_id || stored.defect) continue;
    stored.lease.job = job;
    stored.lease.payload = payload;
    stored.lease.payload->supervisor = impl_->self;
    const std::string text = internal::body_text(stored);
    if (Result<void> body = impl_->own->write_body(stored.slot, text); !body) return body;
    stored.entry.body_bytes = static_cast<std::uint32_t>(text.size());
    return write_payload(*impl_, stored);
  }
  return fail(ErrorCode::not_found, lease_id, "no lease of this user");
}

std::vector<int> Held::descriptors() const {
  std::vector<int> all;
  if (impl_->core->own) all.push_back(impl_->core->own->fd());
  for (const internal::UnitLock& lock : impl_->locks) all.push_back(lock.fd());
  return all;
}

Result<Release> Held::release(const Proof& proof) {
  internal::Core& core = *impl_->core;
  internal::Stored& stored = impl_->stored;
  Result<Critical> critical = internal::enter_and_read(core);
  if (!critical) return fail(critical.error());
  const bool on_record = find_slot(core, stored).has_value();
  Release done;
  done.gone = proof.empty;
  if (on_record && !proof.empty) {
    if (Result<void> begun = begin_release(core, stored, proof); !begun) return fail(begun.error());
  }
  for (internal::UnitLock& lock : impl_->locks) lock.unlock();
  core.own->unlock_slot(stored.slot);
  core.our_slots.erase(stored.slot);
  impl_->let_go = true;
  internal::step("unlocked");
  stored.lease.state = State::releasing;
  done.lease = stored.lease;
  done.lease.blockers = proof.blockers;
  done.lease.unknown = proof.unknown;
  if (!proof.empty || !on_record) return done;
  if (Result<void> finished = finish_release(core, stored, proof); !finished)
    return fail(finished.error());
  return done;
}

int Held::fd() const {
  if (impl_->notify) return impl_->notify.get();
  Fd notify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!notify) return -1;
  if (::inotify_add_watch(notify.get(), internal::descriptor_path(impl_->core->dir.get()).c_str(),
                          IN_MOVED_TO) < 0)
    return -1;
  impl_->notify = std::move(notify);
  return impl_->notify.get();
}

std::optional<std::string> Held::evicted() {
  internal::Core& core = *impl_->core;
  internal::drain_events(impl_->notify.get());
  Result<Critical> critical = internal::enter_and_read(core);
  if (!critical) return std::nullopt;
  // A record that cannot be written now is tried again at the next change.
  if (!find_slot(core, impl_->stored))
    static_cast<void>(write_anew(core, impl_->stored).has_value());
  std::vector<Error> problems;
  const std::vector<Drain> drains =
      internal::read_drains(core, internal::list(core).drains, problems);
  for (const Unit& unit : impl_->stored.lease.units) {
    const Drain* drain = internal::find_drain(drains, unit);
    if (drain != nullptr && drain->level == DrainLevel::evict)
      return "GPU " + unit.id + " is drained, its jobs are evicted: " + drain->reason;
  }
  return std::nullopt;
}

}  // namespace gpuctl::lease
