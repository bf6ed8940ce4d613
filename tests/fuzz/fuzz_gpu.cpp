// libFuzzer over the parsers of cpp/gpu: the first byte says which one, the rest is its input.
//
//   cmake -S . -B build/fuzz -DGPUCTL_FUZZ=ON -DGPUCTL_PYTHON=OFF -DCMAKE_CXX_COMPILER=clang++
//   cmake --build build/fuzz --target fuzz_gpu && build/fuzz/fuzz_gpu -max_total_time=600
#include <cstddef>
#include <cstdint>

#include "fuzz_targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto& targets = gpuctl::gpu::test::fuzz_targets();
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  targets[data[0] % targets.size()].run(bytes);
  return 0;
}
