#include "gpuctl/base/record.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

#include "gpuctl/base/fd.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;

namespace {

Fd open_dir(const TempTree& tree) {
  return std::move(*open_at(AT_FDCWD, tree.path(), O_RDONLY | O_DIRECTORY));
}

Record sample() {
  Record record("job", 1);
  record.set("id", "1234");
  record.set("number", std::uint64_t{18446744073709551615ULL});
  record.set_list("argv", {"a b", "", "100%", "line\nend", std::string("nul\0byte", 8), "\xff\xfe",
                           "=x=", "checksum=0"});
  return record;
}

}  // namespace

TEST_CASE("a record comes back byte for byte") {
  const TempTree tree;
  const Fd dir = open_dir(tree);
  REQUIRE(write_record(dir.get(), "job.rec", sample()));
  const Result<Record> back = read_record(dir.get(), "job.rec", "job", 1);
  REQUIRE(back);
  CHECK(back->find_list("argv") == sample().find_list("argv"));
  CHECK(*back->get_unsigned("number") == 18446744073709551615ULL);
  CHECK(back->to_text() == sample().to_text());
  CHECK(std::distance(std::filesystem::directory_iterator(tree.path()), {}) ==
        1);  // no temporary file stays
}

TEST_CASE("a torn or edited record is malformed, wherever it is cut") {
  const std::string text = sample().to_text();
  for (std::size_t length = 0; length < text.size(); ++length) {
    CAPTURE(length);
    CHECK_FALSE(Record::from_text(text.substr(0, length), "job", 1, "r"));
  }
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string edited = text;
    edited[at] = static_cast<char>(edited[at] ^ 1);
    CAPTURE(at);
    CHECK_FALSE(Record::from_text(edited, "job", 1, "r"));
  }
  CHECK_FALSE(Record::from_text(text + "x", "job", 1, "r"));
  CHECK_FALSE(Record::from_text(text + text, "job", 1, "r"));
}

TEST_CASE("kind and version are checked; a newer record is unsupported, not malformed") {
  CHECK(Record::from_text(sample().to_text(), "lease", 1, "r").error().code ==
        ErrorCode::malformed);
  Record newer("job", 2);
  newer.set("id", "1");
  CHECK(Record::from_text(newer.to_text(), "job", 1, "r").error().code == ErrorCode::unsupported);
  CHECK(Record::from_text(newer.to_text(), "job", 2, "r"));
}

TEST_CASE("missing keys and wrong values are told") {
  const Record record = sample();
  CHECK(record.get("none").error().code == ErrorCode::malformed);
  CHECK_FALSE(record.get_unsigned("argv.0"));
  CHECK(record.find_list("none").empty());
}

TEST_CASE("what is no plain record is refused") {
  const TempTree tree;
  const Fd dir = open_dir(tree);
  CHECK(read_record(dir.get(), "none", "job", 1).error().code == ErrorCode::not_found);
  tree.make_dir("folder");
  CHECK_FALSE(read_record(dir.get(), "folder", "job", 1));
  tree.write("elsewhere", sample().to_text());
  tree.link("elsewhere", "link");
  CHECK_FALSE(read_record(dir.get(), "link", "job", 1));
  tree.write("huge", std::string(2 << 20, 'x'));
  CHECK(read_record(dir.get(), "huge", "job", 1).error().code == ErrorCode::malformed);
  tree.write("empty", "");
  CHECK(read_record(dir.get(), "empty", "job", 1).error().code == ErrorCode::malformed);
}

TEST_CASE("a replaced file keeps its readers") {
  const TempTree tree;
  const Fd dir = open_dir(tree);
  tree.write("report", "old");
  const Result<Fd> reader = open_at(dir.get(), "report", O_RDONLY);
  REQUIRE(replace_file(dir.get(), "report", "new", 0644));
  CHECK(*read_all(reader->get(), 100, "report") == "old");
  CHECK(tree.read("report") == "new");
  tree.make_dir("folder/x");
  CHECK_FALSE(replace_file(dir.get(), "folder", "new"));
  CHECK(tree.exists("folder/x"));
}
