#include "gpuctl/base/tree.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;

namespace {

Fd open_dir(const std::string& path) {
  return std::move(*open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
}

FileId id_of(const std::string& path) { return *file_id(open_dir(path).get(), path); }

Result<void> remove_in(const TempTree& tree, const std::string& name) {
  return remove_tree(open_dir(tree.path()).get(), name, id_of(tree.path(name)));
}

}  // namespace

TEST_CASE("a tree goes with links, pipes, hidden and closed folders; what links point to stays") {
  const TempTree tree;
  tree.write("precious/file", "precious");
  tree.write("job/a/b/c", "x");
  tree.write("job/.hidden/..two", "x");
  tree.link(tree.path("precious"), "job/link");
  tree.link("nowhere", "job/broken");
  REQUIRE(::mkfifo(tree.path("job/fifo").c_str(), 0600) == 0);
  REQUIRE(::link(tree.path("precious/file").c_str(), tree.path("job/hard").c_str()) == 0);
  REQUIRE(::chmod(tree.path("job/a").c_str(), 0) == 0);
  CHECK(remove_in(tree, "job"));
  CHECK_FALSE(tree.exists("job"));
  CHECK(tree.read("precious/file") == "precious");
}

TEST_CASE("only the directory that was made is removed") {
  const TempTree tree;
  tree.write("job/mine", "x");
  const FileId id = id_of(tree.path("job"));
  std::filesystem::rename(tree.path("job"), tree.path("moved"));
  const Fd parent = open_dir(tree.path());
  CHECK(remove_tree(parent.get(), "job", id).error().code == ErrorCode::not_found);
  tree.write("job/other", "x");
  CHECK(remove_tree(parent.get(), "job", id).error().code == ErrorCode::malformed);
  CHECK(tree.exists("job/other"));
  std::filesystem::remove_all(tree.path("job"));
  tree.link("moved", "job");
  CHECK_FALSE(remove_tree(parent.get(), "job", id));
  CHECK(tree.exists("moved/mine"));
  CHECK(remove_tree(parent.get(), "moved", id));
}

TEST_CASE("two thousand levels, and two thousand folders beside each other") {
  const TempTree tree;
  tree.make_dir("job");
  Fd here = open_dir(tree.path("job"));
  for (int level = 0; level < 2000; ++level) {
    REQUIRE(::mkdirat(here.get(), "d", 0700) == 0);
    here = std::move(*open_at(here.get(), "d", O_RDONLY | O_DIRECTORY));
  }
  here = open_dir(tree.path("job"));
  for (int i = 0; i < 2000; ++i)
    REQUIRE(::mkdirat(here.get(), ("w" + std::to_string(i)).c_str(), 0700) == 0);
  CHECK(remove_in(tree, "job"));
  CHECK_FALSE(tree.exists("job"));
}

TEST_CASE("plain files are listed, sorted; nothing else") {
  const TempTree tree;
  tree.write("z", "");
  tree.write("a/b", "");
  tree.link("z", "link");
  tree.link("/", "a/root");
  REQUIRE(::mkfifo(tree.path("fifo").c_str(), 0600) == 0);
  const Fd dir = open_dir(tree.path());
  CHECK(*list_files(dir.get(), 10) == std::vector<std::string>{"a/b", "z"});
  CHECK_FALSE(list_files(dir.get(), 1));
}

TEST_CASE("copies are whole plain files and follow no link") {
  const TempTree tree;
  tree.write("from/plain", std::string(100'000, 'x'));
  tree.write("secret/key", "secret");
  tree.link("../secret/key", "from/link");
  tree.link("../secret", "from/via");
  tree.make_dir("to");
  const Fd from = open_dir(tree.path("from"));
  const Fd to = open_dir(tree.path("to"));
  CHECK(copy_file(from.get(), "plain", to.get(), "deep/er/copy"));
  CHECK(tree.read("to/deep/er/copy") == tree.read("from/plain"));
  CHECK_FALSE(copy_file(from.get(), "link", to.get(), "x"));
  CHECK_FALSE(copy_file(from.get(), "via/key", to.get(), "x"));
  CHECK_FALSE(copy_file(from.get(), "../secret/key", to.get(), "x"));
  CHECK_FALSE(copy_file(from.get(), "none", to.get(), "x"));
  CHECK_FALSE(tree.exists("to/x"));
}

TEST_CASE("a planted link in the target is replaced, not written through") {
  const TempTree tree;
  tree.write("from/f", "new");
  tree.write("precious", "precious");
  tree.link("../precious", "to/f");
  tree.link("..", "to/up");
  const Fd from = open_dir(tree.path("from"));
  const Fd to = open_dir(tree.path("to"));
  CHECK(copy_file(from.get(), "f", to.get(), "f"));
  CHECK(tree.read("to/f") == "new");
  CHECK_FALSE(copy_file(from.get(), "f", to.get(), "up/precious"));
  CHECK(tree.read("precious") == "precious");
}

TEST_CASE("rename that does not replace") {
  const TempTree tree;
  tree.make_dir("a");
  tree.make_dir("b");
  const Fd dir = open_dir(tree.path());
  CHECK(rename_without_replacing(dir.get(), "a", "b") == -1);
  CHECK(errno == EEXIST);
  CHECK(rename_without_replacing(dir.get(), "a", "c") == 0);
  CHECK(tree.exists("c"));
}
