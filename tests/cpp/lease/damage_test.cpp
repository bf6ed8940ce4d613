// What a disk, another version or an editor may do to a table.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "../../../cpp/lease/table_record.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "node.hpp"

using namespace gpuctl;
using namespace gpuctl::lease;
using test::TestNode;

namespace {

std::string table_path(const TestNode& node) {
  return node.ledger_path("table." + std::to_string(::geteuid()));
}

void overwrite(const std::string& path, off_t at, const std::string& bytes) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  REQUIRE(::pwrite(fd.get(), bytes.data(), bytes.size(), at) == static_cast<ssize_t>(bytes.size()));
}

constexpr off_t kFirstEntry = 128;
constexpr off_t kFirstBody = 16384;

}  // namespace

TEST_CASE("a damaged header is written anew, and live leases stay") {
  TestNode node(2);
  Ledger holder = std::move(*node.ledger());
  Result<Held> held = holder.hold(TestNode::request(1), node.node(), {});
  REQUIRE(held);
  overwrite(table_path(node), 0, "garbage");
  Ledger other = std::move(*node.ledger());
  Result<Held> second = other.hold(TestNode::request(1), node.node(), {});
  REQUIRE(second);
  CHECK(TestNode::numbers(second->lease().units) == "1");
  CHECK(other.view()->leases.size() == 2);
  CHECK(held->release(test::proven())->gone);
}

TEST_CASE("a damaged entry whose holder lives is rebuilt, with a copy of the file kept aside") {
  TestNode node(2);
  Ledger holder = std::move(*node.ledger());
  Result<Held> held = holder.hold(TestNode::request(1), node.node(), {});
  REQUIRE(held);
  overwrite(table_path(node), kFirstEntry + 8, "xxxx");
  Ledger other = std::move(*node.ledger());
  CHECK_FALSE(other.hold(TestNode::request(2), node.node(), {}));
  REQUIRE(other.repair());
  const View view = std::move(*other.view());
  REQUIRE(view.leases.size() == 1);
  CHECK(TestNode::numbers(view.leases[0].units) == "0");
  bool aside = false;
  for (const auto& file : std::filesystem::directory_iterator(node.ledger_path("")))
    aside |= file.path().filename().string().rfind("damaged.", 0) == 0;
  CHECK(aside);
}

TEST_CASE("a hole in the table hides nothing behind it") {
  TestNode node(3);
  Ledger holder = std::move(*node.ledger());
  std::vector<Held> held;
  for (int i = 0; i < 3; ++i)
    held.push_back(std::move(*holder.hold(TestNode::request(1), node.node(), {})));
  overwrite(table_path(node), kFirstEntry, std::string(64, '\0'));
  CHECK(node.ledger()->view()->leases.size() == 2);
}

TEST_CASE("a holder that writes itself anew in front of nothing is seen by everybody") {
  TestNode node(2);
  Ledger one = std::move(*node.ledger());
  Ledger two = std::move(*node.ledger());
  Ledger other = std::move(*node.ledger());
  Result<Held> first = one.hold(TestNode::request(1), node.node(), {});
  Result<Held> second = two.hold(TestNode::request(1), node.node(), {});
  REQUIRE(first);
  REQUIRE(second);
  REQUIRE(other.view()->leases.size() == 2);
  REQUIRE(::truncate(table_path(node).c_str(), 16) == 0);
  REQUIRE(node.ledger()->repair());  // the header
  CHECK_FALSE(second->evicted());
  CHECK(node.ledger()->view()->leases.size() == 1);
  CHECK(other.view()->leases.size() == 1);
  CHECK_FALSE(first->evicted());
  CHECK(node.ledger()->view()->leases.size() == 2);
  CHECK(other.view()->leases.size() == 2);
}

TEST_CASE("a lease that is written into a shortened file is seen by everybody") {
  TestNode node(3);
  Ledger holder = std::move(*node.ledger());
  {
    std::vector<Held> held;
    for (int i = 0; i < 3; ++i)
      held.push_back(std::move(*holder.hold(TestNode::request(1), node.node(), {})));
    for (Held& each : held) REQUIRE(each.release(test::proven()));
  }
  REQUIRE(::truncate(table_path(node).c_str(), kFirstBody) == 0);
  const Result<Held> again = holder.hold(TestNode::request(1), node.node(), {});
  REQUIRE(again);
  CHECK(node.ledger()->view()->leases.size() == 1);
}

TEST_CASE("a table that lost everything gives no GPU twice, and its holders write it anew") {
  TestNode node(1);
  Ledger holder = std::move(*node.ledger());
  Result<Held> held = holder.hold(TestNode::request(1), node.node(), {});
  REQUIRE(held);
  REQUIRE(::truncate(table_path(node).c_str(), 16) == 0);
  Ledger other = std::move(*node.ledger());
  const Result<Held> second = other.hold(TestNode::request(1), node.node(), {});
  REQUIRE_FALSE(second);
  CHECK(second.error().detail.find("its lock is held") != std::string::npos);
  CHECK_FALSE(held->evicted());
  REQUIRE(other.view()->leases.size() == 1);
  CHECK(held->release(test::proven())->gone);
}

TEST_CASE("a record of a newer version keeps its unit and is never rewritten") {
  TestNode node(2);
  {
    Ledger ledger = std::move(*node.ledger());
    Result<Held> held = ledger.hold(TestNode::request(1), node.node(), {});
    REQUIRE(held);
    // As a newer gpuctl would leave it: another version in the body, which tells its units all the same.
    std::string text(2000, '\0');
    const Fd fd(::open(table_path(node).c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(::pread(fd.get(), text.data(), text.size(), kFirstBody) > 0);
    text.resize(text.find('\0'));
    const Record old = *Record::from_text(text, "lease", 1, "table");
    Record newer("lease", 2);
    newer.set("unit.0.id", *old.find("unit.0.id"));
    newer.set("unit.0.pci", *old.find("unit.0.pci"));
    newer.set("nonce", *old.find("nonce"));
    newer.set("something", "new");
    overwrite(table_path(node), kFirstBody, newer.to_text() + std::string(1, '\0'));
  }
  Ledger ledger = std::move(*node.ledger());
  CHECK_FALSE(ledger.hold(TestNode::request(2), node.node(), {}));
  REQUIRE(ledger.repair());
  const View view = std::move(*ledger.view());
  REQUIRE(view.leases.size() == 1);
  CHECK(view.leases[0].version == 2);
  REQUIRE(view.leases[0].unknown);
  CHECK(view.leases[0].unknown->find("newer than this gpuctl knows") != std::string::npos);
}

TEST_CASE("a record of an older version is migrated") {
  TestNode node(1);
  Ledger ledger = std::move(*node.ledger());
  Result<Held> held = ledger.hold(TestNode::request(1), node.node(), {});
  REQUIRE(held);
  std::string text(2000, '\0');
  const Fd fd(::open(table_path(node).c_str(), O_RDONLY | O_CLOEXEC));
  REQUIRE(::pread(fd.get(), text.data(), text.size(), kFirstBody) > 0);
  text.resize(text.find('\0'));
  const Record current = *Record::from_text(text, "lease", 1, "table");
  Record older("lease", 0);
  for (const char* key : {"nonce", "holder.boot_id", "holder.pid_namespace", "holder.pid",
                          "holder.start_ticks", "unit.0.id", "unit.0.pci"})
    older.set(key, *current.find(key));
  overwrite(table_path(node), kFirstBody, older.to_text() + std::string(1, '\0'));
  Ledger other = std::move(*node.ledger());
  CHECK(other.repair()->repaired.size() == 1);
  CHECK(other.view()->leases.at(0).version == 1);
  CHECK(held->release(test::proven())->gone);
}

TEST_CASE("what another boot left means nothing") {
  TestNode node(1);
  {
    Ledger ledger = std::move(*node.ledger());
    REQUIRE(ledger.record(TestNode::request(1), node.node(), {}, Owner{::getpid(), std::nullopt}));
  }
  std::fstream file(table_path(node), std::ios::in | std::ios::out | std::ios::binary);
  std::string header(128, '\0');
  file.read(header.data(), 128);
  const std::size_t at = header.find("boot=") + 5;
  header.replace(at, 36, "00000000-0000-0000-0000-000000000000");
  std::string text = header.substr(0, header.find(" sum="));
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  char sum[32];
  std::snprintf(sum, sizeof sum, " sum=%016llx\n", static_cast<unsigned long long>(hash));
  text += sum;
  text.resize(128, '\0');
  file.seekp(0);
  file.write(text.data(), 128);
  file.close();
  Ledger ledger = std::move(*node.ledger());
  CHECK(ledger.hold(TestNode::request(1), node.node(), {}));
}
