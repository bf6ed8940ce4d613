// Putting right: what a crash left between two writes, what is over, what is damaged.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "core.hpp"
#include "judge.hpp"

namespace gpuctl::lease::internal {
namespace {

constexpr std::size_t kMaxTableBytes = std::size_t{8} << 20;

bool has_expired(const Stored& stored) {
  return stored.entry.expires_boot != 0 && boottime_usec() >= stored.entry.expires_boot;
}

std::string words_for(const Lease& lease, const std::string& what) {
  std::string units;
  for (const Unit& unit : lease.units) units += " " + unit.id;
  return "lease " + lease.id + " (" + (units.empty() ? "no unit" : units.substr(1)) + "): " + what;
}

// Why a lease that counts as held does not any more; nullopt: it does, or that cannot be told.
std::optional<std::string> why_over(const Core& core, const Book& book, const Judge& judge,
                                    const Stored& stored) {
  if (stored.lease.way == Way::held) {
    if (is_locked(core, book, stored)) return std::nullopt;
    return "its holder, pid " + std::to_string(stored.lease.holder.pid) + ", is gone";
  }
  if (has_expired(stored)) return "its time is over";
  if (judge.owner(stored) != Standing::gone) return std::nullopt;
  return "its owner, pid " + std::to_string(stored.lease.holder.pid) + ", is gone";
}

// Root alone may take away what belongs to somebody else.
std::optional<Table> writable_table(Core& core, uid_t uid) {
  if (core.uid != 0) return std::nullopt;
  Result<std::optional<Table>> table =
      Table::open_other(core.dir.get(), uid, core.here.boot_id, false, true);
  if (!table || !*table || !(*table)->read()) return std::nullopt;
  return std::move(*table);
}

// Nothing is left of it: ours goes from the table, somebody else's is passed over and stays for its user to take away.
std::string take_away(Core& core, Stored& stored, const Proof& proof) {
  if (stored.lease.uid != core.uid) {
    if (std::optional<Table> table = writable_table(core, stored.lease.uid)) {
      const bool done =
          set_free(core, *table, stored, "released", "by root, proof: " + proof.how).has_value();
      if (done) return words_for(stored.lease, "taken back by root, proof: " + proof.how);
    }
    static_cast<void>(
        core.audit.write(core.dir.get(), "passed over", stored.lease, proof.how).has_value());
    return words_for(stored.lease, "over, and its user has not taken it away yet");
  }
  const Result<void> freed = set_free(core, *core.own, stored, "released", "proof: " + proof.how);
  return words_for(stored.lease,
                   freed ? "taken back, proof: " + proof.how : freed.error().message());
}

// True: it is out of the book.
bool settle_one(Core& core, const Book& book, Judge& judge, Stored& stored,
                std::vector<std::string>& words) {
  const bool given = stored.lease.state == State::held || stored.lease.state == State::releasing;
  if (!given || stored.defect) return false;
  if (stored.lease.state == State::held) {
    const std::optional<std::string> over = why_over(core, book, judge, stored);
    if (!over) return false;
    if (stored.lease.uid == core.uid &&
        !set_state(core, stored, EntryState::releasing, "releasing", *over))
      return false;
    stored.lease.state = State::releasing;
    words.push_back(words_for(stored.lease, *over));
  }
  const Proof proof = judge.prove(stored);
  if (!proof.empty) return false;
  words.push_back(take_away(core, stored, proof));
  return true;
}

Result<void> keep_aside(Core& core) {
  const Result<Fd> fd = open_at(core.dir.get(), table_name(core.uid), O_RDONLY | O_NOFOLLOW);
  if (!fd) return fail(fd.error());
  const Result<std::string> all = read_all(fd->get(), kMaxTableBytes, table_name(core.uid));
  const std::string name =
      "damaged." + std::to_string(core.uid) + "." + std::to_string(boottime_usec());
  return all ? replace_file(core.dir.get(), name, *all) : fail(all.error());
}

std::vector<std::string> mend_header(Core& core) {
  const Result<void> kept = keep_aside(core);
  Result<Table> table = Table::adopt(core.dir.get(), core.uid, core.here.boot_id);
  if (!table) return {"the damaged table cannot be mended: " + table.error().message()};
  core.own.emplace(std::move(*table));
  static_cast<void>(core.own->read().has_value());
  return {"the table had a damaged header: written anew" +
          std::string(kept ? "" : "; no copy was kept")};
}

// A holder that lives has its lock: its record is good again. Without one, what the body says is judged like any other.
std::string mend_entry(Core& core, const Slot& slot, Stored& stored) {
  const bool readable = !stored.lease.units.empty() && !stored.lease.nonce.empty();
  const bool locked = core.our_slots.count(slot.index) != 0 || core.own->is_locked(slot.index);
  if (!readable) {
    if (locked) return "a damaged record whose holder lives is left for it to write anew";
    static_cast<void>(
        set_free(core, *core.own, stored, "repaired", "its entry and its body were damaged")
            .has_value());
    return "a damaged record that nobody holds was taken away";
  }
  Entry entry;
  entry.way = locked ? 0 : 1;
  entry.body_bytes = static_cast<std::uint32_t>(body_text(stored).size());
  entry.nonce_head = nonce_head(stored.lease.nonce);
  entry.published = 1;  // perhaps
  stored.entry = entry;
  stored.lease.way = locked ? Way::held : Way::recorded;
  static_cast<void>(set_state(core, stored, EntryState::held, "repaired",
                              locked ? "its entry was damaged; its holder lives"
                                     : "its entry was damaged; its body tells of a lease")
                        .has_value());
  return words_for(stored.lease, "its entry was damaged and is rebuilt");
}

// A record of an older version: what it did not know is unknown.
void migrate(Core& core, Stored& stored, std::vector<std::string>& words) {
  const std::string text = body_text(stored);
  Entry entry = stored.entry;
  entry.version = kRecordVersion;
  entry.body_bytes = static_cast<std::uint32_t>(text.size());
  const bool done = core.own->write_body(stored.slot, text).has_value() &&
                    core.own->write_entry(stored.slot, entry).has_value();
  if (done) words.push_back(words_for(stored.lease, "migrated to version 1"));
}

}  // namespace

void tidy(Core& core, Book& book) {
  const auto is_void = [&](Stored& stored) {
    if (stored.lease.uid != core.uid) return stored.lease.state == State::prepared;
    if (stored.entry.version > kRecordVersion) return false;
    if (stored.lease.state == State::prepared) {
      static_cast<void>(set_free(core, *core.own, stored, "void",
                                 "its writer died between two lines: nothing was given")
                            .has_value());
      return true;
    }
    if (stored.lease.state != State::waiting || is_locked(core, book, stored)) return false;
    static_cast<void>(
        set_free(core, *core.own, stored, "void", "who asked for it is gone").has_value());
    return true;
  };
  book.records.erase(std::remove_if(book.records.begin(), book.records.end(), is_void),
                     book.records.end());
}

std::vector<std::string> settle(Core& core, Book& book) {
  std::vector<std::string> words;
  Judge judge(core.live, *core.place.hardware, core.uid, core.here.pid_namespace);
  book.records.erase(
      std::remove_if(book.records.begin(), book.records.end(),
                     [&](Stored& stored) { return settle_one(core, book, judge, stored, words); }),
      book.records.end());
  return words;
}

std::vector<std::string> mend(Core& core) {
  std::vector<std::string> words;
  const Result<void> opened = open_own_table(core);
  if (!opened && opened.error().code == ErrorCode::malformed) {
    words = mend_header(core);
  } else if (!opened) {
    return words;
  }
  if (!core.own) return words;
  const std::vector<Slot> slots = core.own->slots();
  const bool damaged =
      std::any_of(slots.begin(), slots.end(), [](const Slot& each) { return each.damaged; });
  if (damaged && words.empty()) static_cast<void>(keep_aside(core).has_value());
  for (const Slot& slot : slots) {
    Stored stored = load(*core.own, slot);
    if (slot.damaged) {
      words.push_back(mend_entry(core, slot, stored));
    } else if (stored.lease.version < kRecordVersion && !stored.defect) {
      migrate(core, stored, words);
    }
  }
  if (!words.empty()) static_cast<void>(core.own->read().has_value());
  return words;
}

}  // namespace gpuctl::lease::internal
