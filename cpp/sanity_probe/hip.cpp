// AMD's HIP (hip_runtime_api.h, hiprtc.h): the kernel is compiled by the runtime's own compiler, libhiprtc.
#include <cstdlib>

#include "calls.hpp"

namespace sanity {
namespace {

using Result = int;
using Handle = void*;

constexpr int kHostToDevice = 1;
constexpr int kDeviceToHost = 2;
constexpr unsigned kBlock = 256;
constexpr Result kInvalidDevice = 101;

constexpr const char* kSource =
    "extern \"C\" __global__ void gpuctl_mad(const unsigned* a, const unsigned* b, unsigned* c, "
    "unsigned k)\n"
    "{ unsigned i = blockIdx.x * blockDim.x + threadIdx.x; c[i] = a[i] * k + b[i]; }\n";

struct Calls {
  Result (*init)(unsigned);
  Result (*runtime_get_version)(int*);
  const char* (*get_error_string)(Result);
  Result (*get_device_count)(int*);
  Result (*set_device)(int);
  Result (*device_get_name)(char*, int, int);
  Result (*device_get_pci_bus_id)(char*, int, int);
  Result (*device_total_mem)(std::size_t*, int);
  Result (*malloc)(void**, std::size_t);
  Result (*free)(void*);
  Result (*memcpy)(void*, const void*, std::size_t, int);
  Result (*device_synchronize)();
  Result (*module_load_data)(Handle*, const void*);
  Result (*module_get_function)(Handle*, Handle, const char*);
  Result (*module_launch_kernel)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                                 unsigned, Handle, void**, void**);
};
Calls hip;

struct Compiler {
  Result (*create_program)(Handle*, const char*, const char*, int, const char**, const char**);
  Result (*compile_program)(Handle, int, const char**);
  Result (*get_code_size)(Handle, std::size_t*);
  Result (*get_code)(Handle, char*);
};
Compiler rtc;

bool good(const char* call, Result error, Text& why) {
  if (error == 0) return true;
  why.add(call).add(": error ").add(static_cast<std::uint64_t>(error));
  if (hip.get_error_string != nullptr) why.add(", ").add(hip.get_error_string(error));
  return false;
}

bool load_all(void* library, Text& why) {
  const Call calls[] = {{"hipInit", &hip.init},
                        {"hipRuntimeGetVersion", &hip.runtime_get_version},
                        {"hipGetErrorString", &hip.get_error_string},
                        {"hipGetDeviceCount", &hip.get_device_count},
                        {"hipSetDevice", &hip.set_device},
                        {"hipDeviceGetName", &hip.device_get_name},
                        {"hipDeviceGetPCIBusId", &hip.device_get_pci_bus_id},
                        {"hipDeviceTotalMem", &hip.device_total_mem},
                        {"hipMalloc", &hip.malloc},
                        {"hipFree", &hip.free},
                        {"hipMemcpy", &hip.memcpy},
                        {"hipDeviceSynchronize", &hip.device_synchronize},
                        {"hipModuleLoadData", &hip.module_load_data},
                        {"hipModuleGetFunction", &hip.module_get_function},
                        {"hipModuleLaunchKernel", &hip.module_launch_kernel}};
  return load_calls(library, calls, why);
}

// HIP_VERSION: 60000000 is 6.0, 50221151 is 5.2.
void add_version(int version, Text& text) {
  text.add(static_cast<std::uint64_t>(version / 10000000))
      .add(".")
      .add(static_cast<std::uint64_t>(version % 10000000 / 100000));
}

bool load(Versions& versions, Text& why) {
  const char* const names[] = {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so.5",
                               "libamdhip64.so", nullptr};
  void* library = load_library(names, versions.library, why);
  if (library == nullptr || !load_all(library, why)) return false;
  why.clear();  // of names that were not there
  int version = 0;
  // Without a GPU: 100 of some versions, 101 of others (5.2). Which there are is the next level's to find out.
  const Result begun = hip.init(0);
  if (begun != kNoDevice && begun != kInvalidDevice && !good("hipInit", begun, why)) return false;
  if (hip.runtime_get_version(&version) == 0) add_version(version, versions.runtime);
  return true;
}

bool list(Device* devices, int* count, Text& why) {
  const Result counted = hip.get_device_count(count);
  if (counted == kNoDevice) *count = 0;
  if (counted != kNoDevice && !good("hipGetDeviceCount", counted, why)) return false;
  if (*count > kMaxDevices) *count = kMaxDevices;
  for (int i = 0; i < *count; ++i) {
    char text[256] = "";
    std::size_t memory = 0;
    if (hip.device_get_name(text, sizeof text, i) == 0) devices[i].name.add(text);
    if (hip.device_get_pci_bus_id(text, sizeof text, i) == 0) devices[i].pci_address.add(text);
    if (hip.device_total_mem(&memory, i) == 0) devices[i].memory_bytes = memory;
  }
  return true;
}

bool write(void* state, std::uint64_t offset, const void* from, std::uint64_t bytes) {
  return hip.memcpy(static_cast<char*>(state) + offset, from, bytes, kHostToDevice) == 0;
}

bool read(void* state, std::uint64_t offset, void* to, std::uint64_t bytes) {
  return hip.memcpy(to, static_cast<char*>(state) + offset, bytes, kDeviceToHost) == 0;
}

bool memory(int number, std::uint64_t bytes, Text& why) {
  void* block = nullptr;
  if (!good("hipSetDevice", hip.set_device(number), why)) return false;
  if (const Result error = hip.malloc(&block, bytes); error != 0) {
    why.add(bytes).add(" bytes could not be allocated; ");
    return good("hipMalloc", error, why);
  }
  const bool kept = write_through({write, read, block}, bytes, why);
  hip.free(block);
  return kept;
}

bool load_compiler(Text& why) {
  Text loaded;
  const char* const names[] = {
      "libhiprtc.so.7",   "libhiprtc.so.6", "libhiprtc.so.5", "libhiprtc.so", "libamdhip64.so.6",
      "libamdhip64.so.5", "libamdhip64.so", nullptr};  // before ROCm 7 it is in there too
  void* library = load_library(names, loaded, why);
  if (library == nullptr) return false;
  why.clear();
  const Call calls[] = {{"hiprtcCreateProgram", &rtc.create_program},
                        {"hiprtcCompileProgram", &rtc.compile_program},
                        {"hiprtcGetCodeSize", &rtc.get_code_size},
                        {"hiprtcGetCode", &rtc.get_code}};
  return load_calls(library, calls, why);
}

// The code is for the device that is set; the runtime frees nothing of it before our end.
char* compile(Text& why) {
  Handle program = nullptr;
  std::size_t size = 0;
  if (!good("hiprtcCreateProgram",
            rtc.create_program(&program, kSource, "gpuctl.hip", 0, nullptr, nullptr), why) ||
      !good("hiprtcCompileProgram", rtc.compile_program(program, 0, nullptr), why) ||
      !good("hiprtcGetCodeSize", rtc.get_code_size(program, &size), why))
    return nullptr;
  auto* code = static_cast<char*>(std::malloc(size));
  if (code == nullptr || !good("hiprtcGetCode", rtc.get_code(program, code), why)) return nullptr;
  return code;
}

bool launch(Handle kernel, const Vectors& vectors, Text& why) {
  constexpr std::size_t kBytes = std::size_t{kElements} * 4;
  const std::uint32_t* const hosts[3] = {vectors.a, vectors.b, vectors.c};
  void* blocks[3] = {};
  for (int i = 0; i < 3; ++i) {
    if (!good("hipMalloc", hip.malloc(&blocks[i], kBytes), why) ||
        !good("hipMemcpy", hip.memcpy(blocks[i], hosts[i], kBytes, kHostToDevice), why))
      return false;
  }
  std::uint32_t factor = kFactor;
  void* arguments[] = {static_cast<void*>(&blocks[0]), static_cast<void*>(&blocks[1]),
                       static_cast<void*>(&blocks[2]), &factor};
  const Result started = hip.module_launch_kernel(kernel, kElements / kBlock, 1, 1, kBlock, 1, 1, 0,
                                                  nullptr, arguments, nullptr);
  const bool done = good("hipModuleLaunchKernel", started, why) &&
                    good("hipDeviceSynchronize", hip.device_synchronize(), why) &&
                    good("hipMemcpy", hip.memcpy(vectors.c, blocks[2], kBytes, kDeviceToHost), why);
  for (void* block : blocks) hip.free(block);
  return done;
}

bool compute(int number, Text& why) {
  Handle module = nullptr;
  Handle kernel = nullptr;
  Vectors vectors{};
  if (!good("hipSetDevice", hip.set_device(number), why) || !load_compiler(why)) return false;
  char* code = compile(why);
  if (code == nullptr || !good("hipModuleLoadData", hip.module_load_data(&module, code), why) ||
      !good("hipModuleGetFunction", hip.module_get_function(&kernel, module, "gpuctl_mad"), why) ||
      !make_vectors(vectors, why))
    return false;
  const bool right = launch(kernel, vectors, why) && check_answer(vectors, why);
  std::free(vectors.a);
  std::free(code);
  return right;
}

}  // namespace

const Interface kHip = {"hip", load, list, memory, compute};

}  // namespace sanity
