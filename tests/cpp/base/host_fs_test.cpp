#include "gpuctl/base/host_fs.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;

namespace {

// Each case runs with the kernel's resolver and with ours for old kernels.
const HostFs::Resolver kResolvers[] = {HostFs::Resolver::automatic, HostFs::Resolver::walk};

}  // namespace

TEST_CASE("links inside the root resolve inside it, absolute ones too") {
  const TempTree tree;
  tree.write("root/sys/devices/pci0000:00/0000:00:02.0/vendor", "0x8086\n");
  tree.link("../../../devices/pci0000:00/0000:00:02.0", "root/sys/bus/pci/devices/0000:00:02.0");
  tree.link("/sys/devices/pci0000:00", "root/absolute");
  for (const HostFs::Resolver resolver : kResolvers) {
    const Result<HostFs> fs = HostFs::open(tree.path("root"), resolver);
    REQUIRE(fs);
    CHECK(*fs->read_file("sys/bus/pci/devices/0000:00:02.0/vendor") == "0x8086");
    CHECK(*fs->read_file("absolute/0000:00:02.0/vendor") == "0x8086");
    CHECK_FALSE(fs->is_live());
  }
}

TEST_CASE("nothing leads out of the root") {
  const TempTree tree;
  tree.write("secret", "secret");
  tree.make_dir("root/a");
  tree.link("../../secret", "root/a/up");
  tree.link(tree.path("secret"), "root/absolute");
  tree.link("../../../../../../../../../../etc", "root/etc");
  tree.link("loop", "root/loop");
  for (const HostFs::Resolver resolver : kResolvers) {
    const Result<HostFs> fs = HostFs::open(tree.path("root"), resolver);
    for (const char* path :
         {"a/up", "absolute", "../secret", "a/../../secret", "etc/passwd", "loop", "loop/x"}) {
      CAPTURE(path);
      CHECK_FALSE(fs->read_file(path));
    }
  }
}

TEST_CASE("absent, unreadable and no file are three things") {
  const TempTree tree;
  tree.write("f", "text\n\n");
  tree.make_dir("dir");
  REQUIRE(::mkfifo(tree.path("fifo").c_str(), 0600) == 0);
  for (const HostFs::Resolver resolver : kResolvers) {
    const Result<HostFs> fs = HostFs::open(tree.path(), resolver);
    CHECK(*fs->read_file("f") == "text\n");
    CHECK(fs->read_file("none").error().code == ErrorCode::not_found);
    CHECK_FALSE(fs->read_file_if_present("none")->has_value());
    CHECK_FALSE(fs->read_file_if_present("dir/none/none")->has_value());
    CHECK_FALSE(fs->read_file_if_present("dir"));
    CHECK(fs->read_file("fifo").error().code == ErrorCode::malformed);
    CHECK_FALSE(fs->open_dir_if_present("none")->has_value());
    CHECK_FALSE(fs->open_dir("f"));
    CHECK(fs->read_file("f", 3).error().code == ErrorCode::malformed);
  }
}

TEST_CASE("a directory's files, names and links") {
  const TempTree tree;
  tree.write("d/b", "2");
  tree.write("d/a", "1");
  tree.link("../d/a", "d/link");
  const Result<HostFs> fs = HostFs::open(tree.path());
  const Result<Dir> dir = fs->open_dir("d");
  CHECK(*dir->names() == std::vector<std::string>{"a", "b", "link"});
  CHECK(*dir->read("a") == "1");
  CHECK_FALSE(dir->read("link"));
  CHECK(**dir->link_basename("link") == "a");
  CHECK_FALSE(dir->link_target("a")->has_value());
  CHECK(dir->exists("b"));
  CHECK_FALSE(dir->exists("c"));
}

TEST_CASE("a root must be a directory") {
  const TempTree tree;
  tree.write("f", "");
  for (const std::string& root : {tree.path("f"), tree.path("none"), std::string()}) {
    const Result<HostFs> fs = HostFs::open(root);
    REQUIRE_FALSE(fs);
    CHECK(fs.error().code == ErrorCode::usage);
  }
  CHECK(HostFs::open("/")->is_live());
}

TEST_CASE("renames elsewhere on the machine do not fail a read through `..`") {
  TempTree tree;
  tree.write("c/file", "text");
  tree.write("busy/one", "");
  tree.link("../../c/file", "a/b/link");
  const Result<HostFs> fs = HostFs::open(tree.path());
  REQUIRE(fs);
  std::atomic<bool> over{false};
  std::thread renamer([&] {
    const std::string one = tree.path("busy/one");
    const std::string two = tree.path("busy/two");
    while (!over) {
      static_cast<void>(std::rename(one.c_str(), two.c_str()));
      static_cast<void>(std::rename(two.c_str(), one.c_str()));
    }
  });
  int failed = 0;
  for (int i = 0; i < 3000; ++i) failed += fs->read_file("a/b/link") ? 0 : 1;
  over = true;
  renamer.join();
  CHECK(failed == 0);
}
