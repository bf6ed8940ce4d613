// Giving: all units of a request or none, now or when its turn has come.
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "choice.hpp"
#include "drains.hpp"
#include "held.hpp"
#include "steps.hpp"
#include "taken.hpp"

namespace gpuctl::lease::internal {
namespace {

// What no event tells: an owner in another pid namespace that ends, a clock that runs out.
constexpr Usec kLookAgain = 2 * kUsecPerSec;
constexpr Usec kLookAgainUnwatched = kUsecPerSec / 5;
constexpr int kLockAttempts = 3;  // another ledger may be looking at the very lock
constexpr const char* kLockedByOthers =
    "its lock is held by a gpuctl with another ledger, or by a child that inherited it";

// One request on its way: run() tries, queues up, waits, tries again.
class Attempt {
 public:
  Attempt(Core& core, const Request& request, const Node& node, const Patience& patience,
          const Owner* owner)
      : core_(core), request_(request), node_(node), patience_(patience), owner_(owner) {}

  Result<Granted> run() {
    if (Result<void> allowed = check_scope(); !allowed) return fail(allowed.error());
    if (Result<void> filled = fill_record(); !filled) return fail(filled.error());
    const Usec deadline = monotonic_usec() + patience_.wait.value_or(0);
    if (patience_.wait) watch(core_);
    while (true) {
      Result<SharedGpus> node = node_();
      if (!node) return fail(give_up(node.error()));
      drain_events(core_.notify.get());
      Result<std::optional<Granted>> got = try_once(**node);
      if (!got) return fail(got.error());
      if (*got) return std::move(**got);
      const bool never = !queued_ && !choice_.possible;
      if (!patience_.wait || never || monotonic_usec() >= deadline)
        return fail(give_up(shortage(request_.wish.count, choice_, taken_)));
      if (!wait_for_news(deadline))
        return fail(give_up({ErrorCode::unavailable, 0, "", "told to stop waiting for a GPU"}));
    }
  }

 private:
  Result<void> check_scope() const {
    const Reach& reach = core_.reach;
    const bool good = reach.is_node && (reach.certain || owner_ == nullptr);
    if (core_.place.scope == Scope::slot || good) return {};
    return fail(ErrorCode::unsupported, "ledger_scope",
                reach.why +
                    ": a GPU could be given twice; `--ledger-scope slot` reserves all the "
                    "same, among those who see this ledger");
  }

  Result<void> fill_record() {
    Lease& lease = stored_.lease;
    lease.nonce = new_nonce(core_);
    if (lease.nonce.empty()) return fail(ErrorCode::io, "", "the kernel gives no random numbers");
    lease.id = lease.nonce.substr(0, 16);
    lease.uid = core_.uid;
    lease.job = request_.job;
    lease.command = request_.command;
    lease.way = owner_ == nullptr ? Way::held : Way::recorded;
    lease.holder = core_.self;
    stored_.wanted = request_.wish.count;
    stored_.entry.way = owner_ == nullptr ? 0 : 1;
    stored_.entry.nonce_head = nonce_head(lease.nonce);
    if (owner_ != nullptr) return fill_owner();
    return {};
  }

  Result<void> fill_owner() {
    const Result<proc::Identity> owner = proc::identify(core_.live, core_.here, owner_->pid);
    if (!owner) {
      return fail(ErrorCode::usage, "",
                  "the owner, pid " + std::to_string(owner_->pid) +
                      ", cannot be found: " + owner.error().message());
    }
    stored_.lease.holder = *owner;
    stored_.owner_cgroup = owner_->cgroup_path;
    if (request_.expires_in) {
      stored_.lease.expires_at = realtime_usec() + *request_.expires_in;
      stored_.entry.expires_boot = boottime_usec() + *request_.expires_in;
    }
    return {};
  }

  // ---- one look at the ledger ----

  Result<std::optional<Granted>> try_once(const std::vector<gpu::Gpu>& node) {
    Result<Critical> critical = Critical::enter(core_);
    if (!critical) return fail(critical.error());
    if (Result<void> opened = open_own_table(core_); !opened) {
      if (opened.error().code != ErrorCode::malformed) return fail(opened.error());
      mend(core_);
      if (!core_.own) return fail(opened.error());
    }
    Book book = read_book(core_);
    tidy(core_, book);
    Result<std::optional<Granted>> got = choose_and_give(node, book);
    if (!got || *got) return got;
    if (!settle(core_, book).empty()) {
      got = choose_and_give(node, book);
      if (!got || *got) return got;
    }
    unwatched_ = std::any_of(book.records.begin(), book.records.end(), [](const Stored& each) {
      return each.lease.way == Way::recorded || each.lease.state == State::releasing;
    });
    if (!patience_.wait || (!queued_ && !choice_.possible)) return std::optional<Granted>();
    if (Result<void> queued = queue_up(book); !queued) return fail(queued.error());
    return std::optional<Granted>();
  }

  Result<std::optional<Granted>> choose_and_give(const std::vector<gpu::Gpu>& node,
                                                 const Book& book) {
    const bool free_to_check = request_.even_drained && may_drain(core_, core_.uid);
    const std::vector<Drain> drains = free_to_check ? std::vector<Drain>() : book.drains;
    taken_ = Taken(core_, book, node, turn());
    while (true) {
      choice_ = choose(request_, node, taken_.units(), drains);
      if (choice_.chosen.empty()) return std::optional<Granted>();
      std::optional<std::vector<UnitLock>> locks = lock_chosen();
      if (!locks) continue;  // one of them is taken now
      Result<Granted> granted = give(book, std::move(*locks));
      if (!granted) return fail(granted.error());
      return std::optional<Granted>(std::move(*granted));
    }
  }

  std::optional<Turn> turn() const {
    return slot_ ? std::optional<Turn>(Turn{*slot_, stored_.lease.ticket}) : std::nullopt;
  }

  std::optional<std::vector<UnitLock>> lock_chosen() {
    std::vector<UnitLock> locks;
    for (const gpu::Gpu* each : choice_.chosen) {
      const Unit unit = unit_of(*each);
      Result<UnitLock> lock = lock_unit(unit);
      if (!lock) {
        const bool busy = lock.error().code == ErrorCode::busy;
        taken_.add(unit, busy ? kLockedByOthers : lock.error().message());
        return std::nullopt;
      }
      locks.push_back(std::move(*lock));
    }
    return locks;
  }

  Result<UnitLock> lock_unit(const Unit& unit) const {
    for (int attempt = 1;; ++attempt) {
      Result<UnitLock> lock = UnitLock::take(*core_.place.hardware, unit);
      if (lock || lock.error().code != ErrorCode::busy || attempt == kLockAttempts) return lock;
      ::usleep(500);
    }
  }

  // ---- writing ----

  Result<void> take_slot(const Book& book) {
    if (slot_) return {};
    Result<std::size_t> slot = core_.own->allocate();
    if (!slot) return fail(slot.error());
    if (Result<void> locked = lock_slot(*slot); !locked) return locked;
    slot_ = *slot;
    stored_.slot = *slot;
    for (const Stored& each : book.records)
      stored_.lease.ticket = std::max(stored_.lease.ticket, each.lease.ticket + 1);
    stored_.entry.ticket = stored_.lease.ticket;
    return {};
  }

  Result<void> lock_slot(std::size_t slot) {
    if (core_.our_slots.count(slot) != 0)
      return fail(ErrorCode::busy, core_.path, "our own record was taken away while we hold it");
    if (Result<void> locked = core_.own->lock_slot(slot); !locked) return locked;
    core_.our_slots.insert(slot);
    return {};
  }

  void unlock_slot() {
    if (!slot_) return;
    core_.own->unlock_slot(*slot_);
    core_.our_slots.erase(*slot_);
    slot_.reset();
  }

  Result<void> write_record() {
    const std::string text = body_text(stored_);
    if (Result<void> written = core_.own->write_body(stored_.slot, text); !written) return written;
    stored_.entry.body_bytes = static_cast<std::uint32_t>(text.size());
    return {};
  }

  Result<Granted> give(const Book& book, std::vector<UnitLock> locks) {
    Result<void> done = take_slot(book);
    stored_.lease.units.clear();
    for (const gpu::Gpu* each : choice_.chosen) stored_.lease.units.push_back(unit_of(*each));
    const bool waited = queued_;
    stored_.candidates.clear();
    stored_.lease.granted_boot = boottime_usec();
    if (done) done = write_given(waited);
    if (!done) return fail(give_up_locked(done.error()));
    stored_.lease.state = State::held;
    stored_.lease.since = stored_.entry.since;
    if (owner_ != nullptr) {
      locks.clear();
      unlock_slot();
    }
    return Granted{std::move(stored_), std::move(locks)};
  }

  // Of a waiting record the body may be replaced first: a waiting record has no units that count.
  Result<void> write_given(bool waited) {
    if (Result<void> written = write_record(); !written) return written;
    stored_.entry.state = EntryState::prepared;
    stored_.entry.since = realtime_usec();
    if (Result<void> written = core_.own->write_entry(stored_.slot, stored_.entry); !written)
      return written;
    if (Result<void> told = core_.audit.write(core_.dir.get(), "granted", stored_.lease,
                                              waited ? "its turn has come" : "free");
        !told)
      return told;
    stored_.entry.state = EntryState::held;
    Result<void> written = core_.own->write_entry(stored_.slot, stored_.entry);
    if (written && waited) core_.own->poke();  // what was promised to us beyond this is free
    return written;
  }

  Result<void> queue_up(const Book& book) {
    // What has become impossible since, by a drain, promises nothing to us meanwhile.
    if (!choice_.possible) choice_.candidates.clear();
    if (queued_ && stored_.candidates == choice_.candidates) return {};
    if (Result<void> slot = take_slot(book); !slot) return slot;
    stored_.candidates = choice_.candidates;
    if (Result<void> written = write_record(); !written)
      return fail(give_up_locked(written.error()));
    if (!queued_) {
      const std::string reason = count_of_gpus(request_.wish.count) + " wanted, not free";
      if (Result<void> told = core_.audit.write(core_.dir.get(), "waiting", stored_.lease, reason);
          !told)
        return fail(give_up_locked(told.error()));
    }
    stored_.entry.state = EntryState::waiting;
    stored_.entry.since = realtime_usec();
    if (Result<void> written = core_.own->write_entry(stored_.slot, stored_.entry); !written)
      return fail(give_up_locked(written.error()));
    queued_ = true;
    return {};
  }

  Error give_up_locked(Error why) {
    if (slot_) {
      stored_.lease.units.clear();
      static_cast<void>(set_free(core_, *core_.own, stored_, "void", why.message()).has_value());
      unlock_slot();
    }
    return why;
  }

  Error give_up(Error why) {
    if (!slot_) return why;
    Result<Critical> critical = Critical::enter(core_);
    return critical ? give_up_locked(std::move(why)) : why;
  }

  // ---- waiting ----

  bool wait_for_news(Usec deadline) {
    std::vector<pollfd> waiting;
    for (const int fd : patience_.also) waiting.push_back({fd, POLLIN, 0});
    if (core_.notify) waiting.push_back({core_.notify.get(), POLLIN, 0});
    const Usec look =
        core_.notify ? (unwatched_ ? kLookAgain : 5 * kLookAgain) : kLookAgainUnwatched;
    const Usec rest = std::min(deadline - monotonic_usec(), look);
    const int timeout = static_cast<int>(std::max<Usec>(rest, 0) / 1000 + 1);
    step("wait");
    const int ready = ::poll(waiting.data(), waiting.size(), timeout);
    const bool interrupted = ready < 0 && errno == EINTR;
    bool asked = interrupted;
    for (std::size_t i = 0; i < patience_.also.size(); ++i) asked |= waiting[i].revents != 0;
    return !(asked && patience_.stop && patience_.stop());
  }

  Core& core_;
  const Request& request_;
  const Node& node_;
  const Patience& patience_;
  const Owner* owner_;
  Stored stored_;
  Choice choice_;
  Taken taken_;
  std::optional<std::size_t> slot_;
  bool queued_ = false;
  bool unwatched_ = false;
};

}  // namespace

Result<Granted> grant(Core& core, const Request& request, const Node& node,
                      const Patience& patience, const Owner* owner) {
  return Attempt(core, request, node, patience, owner).run();
}

}  // namespace gpuctl::lease::internal
