#include <doctest/doctest.h>
#include <fcntl.h>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/tar.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;

namespace {

Result<void> unpack_into(const TempTree& tree, const std::string& archive) {
  const Result<Fd> dir = open_at(AT_FDCWD, tree.path(), O_RDONLY | O_DIRECTORY);
  return unpack(archive, dir->get(), "node.tar");
}

}  // namespace

TEST_CASE("what is packed comes back: directories, files, links, long names") {
  const std::string deep = "sys/" + std::string(120, 'a') + "/" + std::string(90, 'b');
  TarWriter tar;
  tar.add_directory("sys/bus");
  tar.add_file("sys/bus/vendor", "0x10de\n");
  tar.add_file(deep, std::string(1500, 'x'));
  tar.add_link("sys/device", "../" + std::string(110, 'c'));
  const TempTree tree;
  REQUIRE(unpack_into(tree, tar.finish()));
  CHECK(tree.read("sys/bus/vendor") == "0x10de\n");
  CHECK(tree.read(deep) == std::string(1500, 'x'));
  CHECK(std::filesystem::read_symlink(tree.path("sys/device")) == "../" + std::string(110, 'c'));
}

TEST_CASE("nothing leaves the directory, by name or through a link") {
  const TempTree outside;
  TarWriter tar;
  tar.add_link("away", outside.path());
  tar.add_file("away/planted", "x");
  tar.add_file("../planted", "x");
  tar.add_file("a/../../planted", "x");
  tar.add_file(outside.path("planted"), "x");
  tar.add_file("good", "y");
  const TempTree tree;
  REQUIRE(unpack_into(tree, tar.finish()));
  CHECK_FALSE(outside.exists("planted"));
  CHECK_FALSE(std::filesystem::exists(tree.path() + "/../planted"));
  CHECK(tree.read("good") == "y");
}

TEST_CASE("a cut archive and one that is none are malformed; what came before is there") {
  TarWriter tar;
  tar.add_file("first", "1");
  tar.add_file("second", std::string(2000, '2'));
  const std::string whole = tar.finish();
  const TempTree tree;
  const Result<void> cut = unpack_into(tree, whole.substr(0, 4 * std::size_t{512}));
  REQUIRE_FALSE(cut);
  CHECK(cut.error().code == ErrorCode::malformed);
  CHECK(tree.read("first") == "1");
  CHECK(unpack_into(tree, "no archive").error().code == ErrorCode::malformed);
  CHECK(unpack_into(tree, std::string(4096, 'z')).error().code == ErrorCode::malformed);
}

TEST_CASE("an archive is a root, and nothing of it is left afterwards") {
  TarWriter tar;
  tar.add_file("sys/vendor", "0x10de\n");
  TempTree tree;
  tree.write("node.tar", tar.finish());
  tree.write("text", "no archive");
  std::string place;
  {
    const Result<HostFs> fs = HostFs::open(tree.path("node.tar"));
    REQUIRE(fs);
    CHECK_FALSE(fs->is_live());
    CHECK(*fs->read_file("sys/vendor") == "0x10de");
    place = fs->root();
    CHECK(std::filesystem::exists(place));
  }
  CHECK_FALSE(std::filesystem::exists(place));
  CHECK(HostFs::open(tree.path("text")).error().code == ErrorCode::usage);
}
