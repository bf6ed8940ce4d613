#include "gpuctl/lease/ledger.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core.hpp"
#include "drains.hpp"
#include "gpuctl/base/state_place.hpp"
#include "gpuctl/base/uid_map.hpp"
#include "held.hpp"
#include "judge.hpp"

namespace gpuctl::lease {
namespace {

using internal::Book;
using internal::Core;
using internal::Critical;
using internal::Stored;

Result<void> open_places(Core& core) {
  Result<Fd> state = open_state(core.place.state_dir);
  if (!state) return fail(state.error());
  core.state = std::move(*state);
  core.path = state_place(core.place.state_dir) + "/ledger";
  Result<Fd> dir = open_or_make_dir(core.state.get(), "ledger", mode_like(core.state.get()));
  if (!dir) return fail(dir.error());
  core.dir = std::move(*dir);
  if (Result<void> safe = require_safe_dir(core.dir.get(), core.path, std::nullopt); !safe)
    return safe;
  struct stat status{};
  if (::fstat(core.state.get(), &status) != 0) return fail_errno(errno, core.path, "cannot stat");
  core.state_owner = status.st_uid;
  core.drains_are_of_a_group = (status.st_mode & 0022) == 0020;
  return {};
}

Result<void> open_identity(Core& core) {
  core.uid = uid_on_node(core.live);
  core.in_user_namespace = in_user_namespace(core.live);
  core.audit =
      internal::Audit(core.uid, ::getpid(), [&core] { return internal::live_leases(core); });
  const Result<proc::Here> here = proc::read_here(core.live);
  if (!here) return fail(here.error());
  core.here = *here;
  const Result<proc::Identity> self = proc::identify(core.live, core.here, ::getpid());
  if (!self) return fail(self.error());
  core.self = *self;
  return {};
}

// Opens and reads our table where there is one that can be read; a look must not fail for want of it.
void read_own_if_there(Core& core) {
  if (core.own) {
    static_cast<void>(core.own->read().has_value());
    return;
  }
  struct stat status{};
  const std::string name = internal::table_name(core.uid);
  if (::fstatat(core.dir.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  static_cast<void>(internal::open_own_table(core).has_value());
}

bool is_meant(const Lease& lease, const std::string& name) {
  return lease.state != State::waiting &&
         (lease.id == name || (lease.job && (lease.job->id == name || lease.job->nonce == name)));
}

Result<Stored> find_in(const Book& book, const std::string& name) {
  std::vector<const Stored*> found;
  for (const Stored& each : book.records) {
    if (is_meant(each.lease, name)) found.push_back(&each);
  }
  if (found.size() == 1) return *found.front();
  if (found.empty())
    return fail(ErrorCode::not_found, name,
                "no lease of this id or job: `gpuctl status` lists them");
  return fail(ErrorCode::usage, name,
              "several leases are of this job: name one by its id (`gpuctl status`)");
}

internal::Judge judge_of(const Core& core) {
  return {core.live, *core.place.hardware, core.uid, core.here.pid_namespace};
}

// Who reserved may be gone, and the supervisor that it started with the lease's locks goes on: then that is the holder.
proc::Identity holder_now(const Core& core, const Lease& lease) {
  const bool passed_on =
      lease.payload && lease.payload->supervisor &&
      proc::judge(core.live, lease.holder) == proc::Liveness::dead &&
      proc::judge(core.live, *lease.payload->supervisor) == proc::Liveness::alive;
  return passed_on ? *lease.payload->supervisor : lease.holder;
}

// What a viewer adds to a record: is its holder alive, and if not, who keeps its units.
void look_closer(const Core& core, const Book& book, internal::Judge& judge, Stored& stored) {
  Lease& lease = stored.lease;
  if (stored.defect) {
    lease.unknown = stored.defect;
    return;
  }
  if (lease.way == Way::held || lease.state == State::waiting) {
    lease.holder_alive = internal::is_locked(core, book, stored);
    lease.holder = holder_now(core, lease);
  } else {
    const internal::Standing standing = judge.owner(stored);
    lease.holder_alive = standing == internal::Standing::alive;
    if (standing == internal::Standing::unknown)
      lease.unknown = "its owner is in a pid namespace that cannot be seen from here";
  }
  if (lease.state == State::waiting || (lease.state == State::held && lease.holder_alive)) return;
  const Proof proof = judge.prove(stored);
  lease.blockers = proof.blockers;
  if (!lease.unknown) lease.unknown = proof.unknown;
}

View view_of(Core& core, Book book, std::vector<std::string> repaired) {
  View view;
  internal::Judge judge = judge_of(core);
  for (Stored& each : book.records) look_closer(core, book, judge, each);
  std::sort(book.records.begin(), book.records.end(), [](const Stored& a, const Stored& b) {
    return std::tie(a.lease.ticket, a.lease.uid, a.slot) <
           std::tie(b.lease.ticket, b.lease.uid, b.slot);
  });
  for (Stored& each : book.records) view.leases.push_back(std::move(each.lease));
  view.drains = std::move(book.drains);
  view.problems = std::move(book.problems);
  view.repaired = std::move(repaired);
  const internal::Reach& reach = core.reach;
  if (!reach.is_node || !reach.certain)
    view.problems.push_back({ErrorCode::unsupported, 0, "ledger_scope", reach.why});
  return view;
}

Result<Release> release_own(Core& core, Stored stored, const Proof& proof) {
  Release done;
  done.gone = proof.empty;
  if (stored.lease.state == State::held) {
    if (Result<void> begun = internal::set_state(core, stored, internal::EntryState::releasing,
                                                 "releasing", "asked for");
        !begun)
      return fail(begun.error());
    stored.lease.state = State::releasing;
  }
  if (proof.empty) {
    Result<void> freed =
        internal::set_free(core, *core.own, stored, "released", "proof: " + proof.how);
    if (!freed) return fail(freed.error());
  }
  done.lease = std::move(stored.lease);
  done.lease.blockers = proof.blockers;
  done.lease.unknown = proof.unknown;
  return done;
}

Result<void> may_release(const Core& core, const Book& book, const Stored& stored) {
  const Lease& lease = stored.lease;
  if (lease.uid != core.uid) {
    return fail(ErrorCode::permission, lease.id,
                "a lease of uid " + std::to_string(lease.uid) + ": only that user can release it");
  }
  if (lease.way == Way::recorded || lease.state != State::held ||
      !internal::is_locked(core, book, stored))
    return {};
  return fail(
      ErrorCode::busy, lease.id,
      "pid " + std::to_string(lease.holder.pid) +
          " holds it and gives it back when its job is over: end that (`gpuctl kill --job`)");
}

}  // namespace

Ledger::Ledger(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Ledger::Ledger(Ledger&&) noexcept = default;
Ledger& Ledger::operator=(Ledger&&) noexcept = default;
Ledger::~Ledger() = default;

Result<Ledger> Ledger::open(const Place& place) {
  Result<HostFs> live = HostFs::open("/");
  if (!live) return fail(live.error());
  auto core = std::make_shared<Impl>(place, std::move(*live));
  if (Result<void> opened = open_places(*core); !opened) return fail(opened.error());
  if (Result<void> known = open_identity(*core); !known) return fail(known.error());
  core->reach = internal::reach_of(core->live, core->state.get(), state_place(place.state_dir),
                                   place.state_dir.has_value(), place.hardware->is_live());
  return Ledger(std::move(core));
}

Result<Held> Ledger::hold(const Request& request, const Node& node, const Patience& patience) {
  Result<internal::Granted> granted = internal::grant(*impl_, request, node, patience, nullptr);
  if (!granted) return fail(granted.error());
  auto held = std::make_unique<Held::Impl>();
  held->core = impl_;
  held->stored = std::move(granted->stored);
  held->locks = std::move(granted->locks);
  return Held(std::move(held));
}

Result<Lease> Ledger::record(const Request& request, const Node& node, const Patience& patience,
                             const Owner& owner) {
  Result<internal::Granted> granted = internal::grant(*impl_, request, node, patience, &owner);
  if (!granted) return fail(granted.error());
  return std::move(granted->stored.lease);
}

Result<Lease> Ledger::find(const std::string& id_or_job) {
  Result<Critical> critical = Critical::enter(*impl_, false);
  if (!critical) return fail(critical.error());
  read_own_if_there(*impl_);
  Result<Stored> found = find_in(internal::read_book(*impl_), id_or_job);
  if (!found) return fail(found.error());
  return std::move(found->lease);
}

// The proof takes milliseconds and is made outside the critical section: until the lease is taken away nobody else gets
// its units.
Result<Release> Ledger::release(const std::string& id_or_job) {
  Core& core = *impl_;
  std::optional<Proof> proof;
  while (true) {
    Result<Critical> critical = Critical::enter(core);
    if (!critical) return fail(critical.error());
    read_own_if_there(core);
    const Book book = internal::read_book(core);
    Result<Stored> found = find_in(book, id_or_job);
    if (!found) return fail(found.error());
    if (Result<void> may = may_release(core, book, *found); !may) return fail(may.error());
    if (proof) return release_own(core, std::move(*found), *proof);
    critical->leave();
    found->lease.state = State::releasing;
    internal::Judge judge = judge_of(core);
    proof = judge.prove(*found);
  }
}

Result<View> Ledger::view() {
  Result<Critical> critical = Critical::enter(*impl_, false);
  if (!critical) return fail(critical.error());
  read_own_if_there(*impl_);
  Book book = internal::read_book(*impl_);
  critical->leave();
  return view_of(*impl_, std::move(book), {});
}

Result<View> Ledger::repair() {
  Result<Critical> critical = Critical::enter(*impl_);
  if (!critical) return fail(critical.error());
  std::vector<std::string> words = internal::mend(*impl_);
  Book book = internal::read_book(*impl_);
  internal::tidy(*impl_, book);
  for (std::string& each : internal::settle(*impl_, book)) words.push_back(std::move(each));
  critical->leave();
  return view_of(*impl_, std::move(book), std::move(words));
}

Proof Ledger::prove(const Lease& lease) const {
  Stored stored;
  stored.lease = lease;
  internal::Judge judge = judge_of(*impl_);
  return judge.prove(stored);
}

Result<std::vector<std::string>> Ledger::history() const {
  const Result<Critical> critical = Critical::enter(*impl_, false);
  if (!critical) return fail(critical.error());
  return internal::read_audit(impl_->dir.get());
}

int Ledger::watch_fd() { return internal::watch(*impl_); }
void Ledger::drain_watch() { internal::drain_events(impl_->notify.get()); }
const std::string& Ledger::path() const { return impl_->path; }

}  // namespace gpuctl::lease
