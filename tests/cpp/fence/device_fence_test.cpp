#include "gpuctl/fence/device_fence.hpp"

#include <doctest/doctest.h>

#include "gpuctl/fence/credentials.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;

TEST_CASE("a node of one GPU, and those that all share") {
  for (const char* path : {"/dev/nvidia0", "/dev/nvidia17", "/dev/nvidia-caps/nvidia-cap2",
                           "/dev/dri/renderD128", "/dev/dri/card0", "/dev/accel/accel0"})
    CHECK(fence::is_of_one_gpu(path));
  for (const char* path : {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-modeset", "/dev/kfd"})
    CHECK_FALSE(fence::is_of_one_gpu(path));
}

TEST_CASE("what is no character device is no GPU node, whatever its name") {
  testing::TempTree tree;
  tree.write("nvidia0", "a file");
  tree.write("dri/card0", "a file");
  const Result<std::vector<std::string>> found = fence::gpu_nodes_in(tree.path());
  REQUIRE(found);
  CHECK(found->empty());
  CHECK(fence::gpu_nodes_in(tree.path() + "/absent")->empty());
}

TEST_CASE("a proof tells what opened, and ENOENT refuses") {
  const fence::DeviceProof good = fence::prove_devices({"/dev/null"}, {"/dev/no-such-node"});
  CHECK(good.holds);
  CHECK(good.opened == std::vector<std::string>{"/dev/null"});
  CHECK(good.refused == std::vector<std::string>{"/dev/no-such-node"});
  const fence::DeviceProof open = fence::prove_devices({}, {"/dev/null"});
  CHECK_FALSE(open.holds);
  CHECK(open.failure.find("can be opened") != std::string::npos);
  const fence::DeviceProof missing = fence::prove_devices({"/dev/no-such-node"}, {});
  CHECK_FALSE(missing.holds);
}

TEST_CASE("credentials of the pilot go, the job's own stay") {
  std::vector<std::string> environment = {"PATH=/bin",
                                          "X509_USER_PROXY=/tmp/x509",
                                          "X509_USER_PROXY_OF_MINE=/tmp/mine",
                                          "_CONDOR_SEC_TOKEN=t",
                                          "JALIEN_TOKEN_CERT=c",
                                          "BEARER_TOKEN=b",
                                          "META_VARIABLES=BEARER_TOKEN, KRB5CCNAME"};
  const std::vector<std::string> withheld = fence::withhold_credentials(environment);
  CHECK(withheld == std::vector<std::string>{"X509_USER_PROXY", "_CONDOR_SEC_TOKEN"});
  CHECK(environment.size() == 5);
}
