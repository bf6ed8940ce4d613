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

constexpr const char* kSource =
    "extern \"C\" __global__ void gpuctl_mad(const unsigned* a, const unsigned* b, unsigned* c, "
    "unsigned k)\n"
    "{ unsigned i = blockIdx.x * blockDim.x + threadIdx.x; c[i] = a[i] * k + b[i]; }\n";

struct Calls {
  Result (*Init)(unsigned);
  Result (*RuntimeGetVersion)(int*);
  const char* (*GetErrorString)(Result);
  Result (*GetDeviceCount)(int*);
  Result (*SetDevice)(int);
  Result (*DeviceGetName)(char*, int, int);
  Result (*DeviceGetPCIBusId)(char*, int, int);
  Result (*DeviceTotalMem)(std::size_t*, int);
  Result (*Malloc)(void**, std::size_t);
  Result (*Free)(void*);
  Result (*Memcpy)(void*, const void*, std::size_t, int);
  Result (*DeviceSynchronize)();
  Result (*ModuleLoadData)(Handle*, const void*);
  Result (*ModuleGetFunction)(Handle*, Handle, const char*);
  Result (*ModuleLaunchKernel)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                               unsigned, Handle, void**, void**);
};
Calls hip;

struct Compiler {
  Result (*CreateProgram)(Handle*, const char*, const char*, int, const char**, const char**);
  Result (*CompileProgram)(Handle, int, const char**);
  Result (*GetCodeSize)(Handle, std::size_t*);
  Result (*GetCode)(Handle, char*);
};
Compiler rtc;

bool good(const char* call, Result error, Text& why) {
  if (error == 0) return true;
  why.add(call).add(": error ").add(static_cast<std::uint64_t>(error));
  if (hip.GetErrorString != nullptr) why.add(", ").add(hip.GetErrorString(error));
  return false;
}

bool load_all(void* library, Text& why) {
  const Call calls[] = {{"hipInit", &hip.Init},
                        {"hipRuntimeGetVersion", &hip.RuntimeGetVersion},
                        {"hipGetErrorString", &hip.GetErrorString},
                        {"hipGetDeviceCount", &hip.GetDeviceCount},
                        {"hipSetDevice", &hip.SetDevice},
                        {"hipDeviceGetName", &hip.DeviceGetName},
                        {"hipDeviceGetPCIBusId", &hip.DeviceGetPCIBusId},
                        {"hipDeviceTotalMem", &hip.DeviceTotalMem},
                        {"hipMalloc", &hip.Malloc},
                        {"hipFree", &hip.Free},
                        {"hipMemcpy", &hip.Memcpy},
                        {"hipDeviceSynchronize", &hip.DeviceSynchronize},
                        {"hipModuleLoadData", &hip.ModuleLoadData},
                        {"hipModuleGetFunction", &hip.ModuleGetFunction},
                        {"hipModuleLaunchKernel", &hip.ModuleLaunchKernel}};
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
  if (!good("hipInit", hip.Init(0), why)) return false;
  if (hip.RuntimeGetVersion(&version) == 0) add_version(version, versions.runtime);
  return true;
}

bool list(Device* devices, int* count, Text& why) {
  if (!good("hipGetDeviceCount", hip.GetDeviceCount(count), why)) return false;
  if (*count > kMaxDevices) *count = kMaxDevices;
  for (int i = 0; i < *count; ++i) {
    char text[256] = "";
    std::size_t memory = 0;
    if (hip.DeviceGetName(text, sizeof text, i) == 0) devices[i].name.add(text);
    if (hip.DeviceGetPCIBusId(text, sizeof text, i) == 0) devices[i].pci_address.add(text);
    if (hip.DeviceTotalMem(&memory, i) == 0) devices[i].memory_bytes = memory;
  }
  return true;
}

bool write(void* state, std::uint64_t offset, const void* from, std::uint64_t bytes) {
  return hip.Memcpy(static_cast<char*>(state) + offset, from, bytes, kHostToDevice) == 0;
}

bool read(void* state, std::uint64_t offset, void* to, std::uint64_t bytes) {
  return hip.Memcpy(to, static_cast<char*>(state) + offset, bytes, kDeviceToHost) == 0;
}

bool memory(int number, std::uint64_t bytes, Text& why) {
  void* block = nullptr;
  if (!good("hipSetDevice", hip.SetDevice(number), why)) return false;
  if (const Result error = hip.Malloc(&block, bytes); error != 0) {
    why.add(bytes).add(" bytes could not be allocated; ");
    return good("hipMalloc", error, why);
  }
  const bool kept = write_through({write, read, block}, bytes, why);
  hip.Free(block);
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
  const Call calls[] = {{"hiprtcCreateProgram", &rtc.CreateProgram},
                        {"hiprtcCompileProgram", &rtc.CompileProgram},
                        {"hiprtcGetCodeSize", &rtc.GetCodeSize},
                        {"hiprtcGetCode", &rtc.GetCode}};
  return load_calls(library, calls, why);
}

// The code is for the device that is set; the runtime frees nothing of it before our end.
char* compile(Text& why) {
  Handle program = nullptr;
  std::size_t size = 0;
  if (!good("hiprtcCreateProgram",
            rtc.CreateProgram(&program, kSource, "gpuctl.hip", 0, nullptr, nullptr), why) ||
      !good("hiprtcCompileProgram", rtc.CompileProgram(program, 0, nullptr), why) ||
      !good("hiprtcGetCodeSize", rtc.GetCodeSize(program, &size), why))
    return nullptr;
  auto* code = static_cast<char*>(std::malloc(size));
  if (code == nullptr || !good("hiprtcGetCode", rtc.GetCode(program, code), why)) return nullptr;
  return code;
}

bool launch(Handle kernel, const Vectors& vectors, Text& why) {
  constexpr std::size_t kBytes = std::size_t{kElements} * 4;
  const std::uint32_t* const hosts[3] = {vectors.a, vectors.b, vectors.c};
  void* blocks[3] = {};
  for (int i = 0; i < 3; ++i) {
    if (!good("hipMalloc", hip.Malloc(&blocks[i], kBytes), why) ||
        !good("hipMemcpy", hip.Memcpy(blocks[i], hosts[i], kBytes, kHostToDevice), why))
      return false;
  }
  std::uint32_t factor = kFactor;
  void* arguments[] = {&blocks[0], &blocks[1], &blocks[2], &factor};
  const Result started = hip.ModuleLaunchKernel(kernel, kElements / kBlock, 1, 1, kBlock, 1, 1, 0,
                                                nullptr, arguments, nullptr);
  const bool done = good("hipModuleLaunchKernel", started, why) &&
                    good("hipDeviceSynchronize", hip.DeviceSynchronize(), why) &&
                    good("hipMemcpy", hip.Memcpy(vectors.c, blocks[2], kBytes, kDeviceToHost), why);
  for (void* block : blocks) hip.Free(block);
  return done;
}

bool compute(int number, Text& why) {
  Handle module = nullptr;
  Handle kernel = nullptr;
  Vectors vectors{};
  if (!good("hipSetDevice", hip.SetDevice(number), why) || !load_compiler(why)) return false;
  char* code = compile(why);
  if (code == nullptr || !good("hipModuleLoadData", hip.ModuleLoadData(&module, code), why) ||
      !good("hipModuleGetFunction", hip.ModuleGetFunction(&kernel, module, "gpuctl_mad"), why) ||
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
