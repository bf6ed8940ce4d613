// libFuzzer over the parsers of cpp/gpu: the first byte says which one, the rest is its input.
//
// How it is built and run stands at the end of docs/tour.md. `fuzz_gpu --seeds=FOLDER` writes the texts to start from.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "fuzz_targets.hpp"

namespace {

void write_seeds(const std::string& folder) {
  const auto& targets = gpuctl::gpu::test::fuzz_targets();
  std::size_t number = 0;
  for (std::size_t target = 0; target < targets.size(); ++target) {
    for (const std::string& seed : targets[target].seeds)
      std::ofstream(folder + "/seed-" + std::to_string(number++), std::ios::binary)
          << static_cast<char>(target) << seed;
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view kFlag = "--seeds=";
  for (int i = 1; i < *argc; ++i) {
    const std::string_view word = (*argv)[i];
    if (word.substr(0, kFlag.size()) != kFlag) continue;
    write_seeds(std::string(word.substr(kFlag.size())));
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto& targets = gpuctl::gpu::test::fuzz_targets();
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  targets[data[0] % targets.size()].run(bytes);
  return 0;
}
