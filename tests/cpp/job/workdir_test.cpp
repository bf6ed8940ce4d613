#include "gpuctl/job/workdir.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;
using job::Workdir;

namespace {

constexpr const char* kNonce = "0123456789abcdef0123456789abcdef";

Workdir made(const TempTree& tree) {
  Workdir workdir = job::plan_workdir(tree.path(), "1", kNonce);
  REQUIRE(job::make_workdir(workdir));
  return workdir;
}

Result<void> remove(const Workdir& workdir, const FileId& id) {
  return job::remove_workdir(workdir.parent, workdir.name, workdir.made_as, id);
}

}  // namespace

TEST_CASE("a planned directory is made, published and removed") {
  const TempTree tree;
  const Workdir workdir = made(tree);
  CHECK_FALSE(tree.exists("alien-job-1"));
  REQUIRE(job::publish_workdir(workdir));
  struct stat status{};
  REQUIRE(::stat(workdir.path().c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0700);
  CHECK(remove(workdir, workdir.id));
  CHECK(std::filesystem::is_empty(tree.path()));
}

TEST_CASE("a crash at each step leaves what the records can remove") {
  const TempTree tree;
  const Workdir planned = job::plan_workdir(tree.path(), "1", kNonce);
  CHECK(remove(planned, {}).error().code == ErrorCode::not_found);
  const Workdir workdir = made(tree);
  CHECK(remove(workdir, {}));  // made, its id not yet recorded
  const Workdir again = made(tree);
  CHECK(remove(again, again.id));  // recorded, not yet published
  CHECK(std::filesystem::is_empty(tree.path()));
}

TEST_CASE("without an id only an empty directory of the job's own name goes") {
  const TempTree tree;
  const Workdir workdir = made(tree);
  tree.write(workdir.made_as + "/file", "x");
  CHECK_FALSE(remove(workdir, {}));
  CHECK(tree.exists(workdir.made_as + "/file"));
  tree.make_dir("alien-job-1");
  CHECK_FALSE(remove(workdir, {}));
  CHECK(tree.exists("alien-job-1"));
}

TEST_CASE("what is there is never taken") {
  const TempTree tree;
  const Workdir workdir = made(tree);
  tree.make_dir("alien-job-1");
  CHECK_FALSE(job::publish_workdir(workdir));
  CHECK(remove(workdir, workdir.id));
  CHECK(tree.exists("alien-job-1"));
  Workdir nowhere = job::plan_workdir(tree.path("none"), "1", kNonce);
  CHECK_FALSE(job::make_workdir(nowhere));
}

TEST_CASE("patterns choose what is kept") {
  const TempTree tree;
  const Workdir workdir = made(tree);
  for (const char* name : {"a.root", "b.log", "sub/c.root", ".hidden.root"})
    tree.write(workdir.made_as + "/" + name, name);
  std::vector<std::string> problems;
  const std::vector<std::string> kept =
      job::keep_outputs(workdir, {"*.root", "none"}, tree.path("out"), problems);
  CHECK(kept == std::vector<std::string>{"a.root", "sub/c.root"});
  CHECK(problems.empty());
  CHECK(tree.read("out/sub/c.root") == "sub/c.root");
  CHECK(job::keep_outputs(workdir, {"*"}, "/nowhere/out", problems).empty());
  CHECK(problems.size() == 1);
}
