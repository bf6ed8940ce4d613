// The CUDA driver API (cuda.h of the toolkit): libcuda.so.1 comes with the driver and compiles the PTX below for its GPU.
#include <cstdlib>
#include <initializer_list>

#include "calls.hpp"

namespace sanity {
namespace {

using Result = int;
using Device32 = int;
using Address = unsigned long long;
using Handle = void*;

constexpr int kCapabilityMajor = 75;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
constexpr int kCapabilityMinor = 76;

// PTX is forward compatible: every driver since CUDA 6 compiles this for every GPU since Kepler.
constexpr const char* kPtx =
    ".version 4.0\n"
    ".target sm_30\n"
    ".address_size 64\n"
    ".visible .entry gpuctl_mad(.param .u64 pa, .param .u64 pb, .param .u64 pc, .param .u32 pk)\n"
    "{\n"
    "  .reg .b32 %r<9>;\n"
    "  .reg .b64 %rd<11>;\n"
    "  ld.param.u64 %rd1, [pa];\n"
    "  ld.param.u64 %rd2, [pb];\n"
    "  ld.param.u64 %rd3, [pc];\n"
    "  ld.param.u32 %r1, [pk];\n"
    "  cvta.to.global.u64 %rd4, %rd1;\n"
    "  cvta.to.global.u64 %rd5, %rd2;\n"
    "  cvta.to.global.u64 %rd6, %rd3;\n"
    "  mov.u32 %r2, %ctaid.x;\n"
    "  mov.u32 %r3, %ntid.x;\n"
    "  mov.u32 %r4, %tid.x;\n"
    "  mad.lo.u32 %r5, %r2, %r3, %r4;\n"
    "  mul.wide.u32 %rd7, %r5, 4;\n"
    "  add.s64 %rd8, %rd4, %rd7;\n"
    "  add.s64 %rd9, %rd5, %rd7;\n"
    "  add.s64 %rd10, %rd6, %rd7;\n"
    "  ld.global.u32 %r6, [%rd8];\n"
    "  ld.global.u32 %r7, [%rd9];\n"
    "  mad.lo.u32 %r8, %r6, %r1, %r7;\n"
    "  st.global.u32 [%rd10], %r8;\n"
    "  ret;\n"
    "}\n";
constexpr unsigned kBlock = 256;

struct Calls {
  Result (*Init)(unsigned);
  Result (*DriverGetVersion)(int*);
  Result (*GetErrorString)(Result, const char**);
  Result (*DeviceGetCount)(int*);
  Result (*DeviceGet)(Device32*, int);
  Result (*DeviceGetName)(char*, int, Device32);
  Result (*DeviceGetPCIBusId)(char*, int, Device32);
  Result (*DeviceGetUuid)(unsigned char*, Device32);
  Result (*DeviceTotalMem)(std::size_t*, Device32);
  Result (*DeviceGetAttribute)(int*, int, Device32);
  Result (*CtxCreate)(Handle*, unsigned, Device32);
  Result (*CtxSetCurrent)(Handle);
  Result (*CtxSynchronize)();
  Result (*MemAlloc)(Address*, std::size_t);
  Result (*MemFree)(Address);
  Result (*MemcpyHtoD)(Address, const void*, std::size_t);
  Result (*MemcpyDtoH)(void*, Address, std::size_t);
  Result (*ModuleLoadData)(Handle*, const void*);
  Result (*ModuleGetFunction)(Handle*, Handle, const char*);
  Result (*LaunchKernel)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                         unsigned, Handle, void**, void**);
};
Calls cu;
bool is_mig[kMaxDevices];
Handle contexts[kMaxDevices];

bool good(const char* call, Result error, Text& why) {
  if (error == 0) return true;
  const char* words = nullptr;
  why.add(call).add(": error ").add(static_cast<std::uint64_t>(error));
  if (cu.GetErrorString != nullptr && cu.GetErrorString(error, &words) == 0 && words != nullptr)
    why.add(", ").add(words);
  return false;
}

bool load_all(void* library, Text& why) {
  const Call calls[] = {{"cuInit", &cu.Init},
                        {"cuDriverGetVersion", &cu.DriverGetVersion},
                        {"cuGetErrorString", &cu.GetErrorString},
                        {"cuDeviceGetCount", &cu.DeviceGetCount},
                        {"cuDeviceGet", &cu.DeviceGet},
                        {"cuDeviceGetName", &cu.DeviceGetName},
                        {"cuDeviceGetPCIBusId", &cu.DeviceGetPCIBusId},
                        {"cuDeviceTotalMem_v2", &cu.DeviceTotalMem},
                        {"cuDeviceGetAttribute", &cu.DeviceGetAttribute},
                        {"cuCtxCreate_v2", &cu.CtxCreate},
                        {"cuCtxSetCurrent", &cu.CtxSetCurrent},
                        {"cuCtxSynchronize", &cu.CtxSynchronize},
                        {"cuMemAlloc_v2", &cu.MemAlloc},
                        {"cuMemFree_v2", &cu.MemFree},
                        {"cuMemcpyHtoD_v2", &cu.MemcpyHtoD},
                        {"cuMemcpyDtoH_v2", &cu.MemcpyDtoH},
                        {"cuModuleLoadData", &cu.ModuleLoadData},
                        {"cuModuleGetFunction", &cu.ModuleGetFunction},
                        {"cuLaunchKernel", &cu.LaunchKernel}};
  return load_calls(library, calls, why);
}

// Since CUDA 11.4 of a MIG instance too; older drivers have the first form only.
void load_uuid(void* library) {
  Text unused;
  for (const char* name : {"cuDeviceGetUuid_v2", "cuDeviceGetUuid"}) {
    const Call call[] = {{name, &cu.DeviceGetUuid}};
    if (load_calls(library, call, unused)) return;
  }
}

bool load(Versions& versions, Text& why) {
  const char* const names[] = {"libcuda.so.1", nullptr};
  void* library = load_library(names, versions.library, why);
  if (library == nullptr || !load_all(library, why)) return false;
  load_uuid(library);
  int version = 0;
  if (!good("cuInit", cu.Init(0), why) ||
      !good("cuDriverGetVersion", cu.DriverGetVersion(&version), why))
    return false;
  versions.runtime.add(static_cast<std::uint64_t>(version / 1000))
      .add(".")
      .add(static_cast<std::uint64_t>(version % 1000 / 10));
  return true;
}

void add_uuid(const unsigned char (&bytes)[16], Text& text) {
  text.add("GPU-");
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text.add("-");
    text.add_hex(bytes[i], 2);
  }
}

void describe(Device32 device, int number, Device& found) {
  char text[256] = "";
  if (cu.DeviceGetName(text, sizeof text, device) == 0) found.name.add(text);
  if (cu.DeviceGetPCIBusId(text, sizeof text, device) == 0) found.pci_address.add(text);
  unsigned char uuid[16];
  is_mig[number] = std::strstr(found.name.data, " MIG ") != nullptr;
  if (cu.DeviceGetUuid != nullptr && cu.DeviceGetUuid(uuid, device) == 0)
    add_uuid(uuid, found.uuid);
  if (is_mig[number] && found.uuid.length > 4) std::memcpy(found.uuid.data, "MIG", 3);
  std::size_t memory = 0;
  if (cu.DeviceTotalMem(&memory, device) == 0) found.memory_bytes = memory;
  int major = 0;
  int minor = 0;
  if (cu.DeviceGetAttribute(&major, kCapabilityMajor, device) == 0 &&
      cu.DeviceGetAttribute(&minor, kCapabilityMinor, device) == 0)
    found.capability.add(static_cast<std::uint64_t>(major))
        .add(".")
        .add(static_cast<std::uint64_t>(minor));
}

bool list(Device* devices, int* count, Text& why) {
  if (!good("cuDeviceGetCount", cu.DeviceGetCount(count), why)) return false;
  if (*count > kMaxDevices) *count = kMaxDevices;
  for (int i = 0; i < *count; ++i) {
    Device32 device = 0;
    if (!good("cuDeviceGet", cu.DeviceGet(&device, i), why)) return false;
    describe(device, i, devices[i]);
  }
  return true;
}

bool open(int number, Text& why) {
  Device32 device = 0;
  if (contexts[number] != nullptr)
    return good("cuCtxSetCurrent", cu.CtxSetCurrent(contexts[number]), why);
  return good("cuDeviceGet", cu.DeviceGet(&device, number), why) &&
         good("cuCtxCreate", cu.CtxCreate(&contexts[number], 0, device), why);
}

bool write(void* state, std::uint64_t offset, const void* from, std::uint64_t bytes) {
  return cu.MemcpyHtoD(*static_cast<Address*>(state) + offset, from, bytes) == 0;
}

bool read(void* state, std::uint64_t offset, void* to, std::uint64_t bytes) {
  return cu.MemcpyDtoH(to, *static_cast<Address*>(state) + offset, bytes) == 0;
}

bool memory(int number, std::uint64_t bytes, Text& why) {
  Address block = 0;
  if (!open(number, why)) return false;
  if (const Result error = cu.MemAlloc(&block, bytes); error != 0) {
    why.add(bytes).add(" bytes could not be allocated; ");
    return good("cuMemAlloc", error, why);
  }
  const bool kept = write_through({write, read, &block}, bytes, why);
  cu.MemFree(block);
  return kept;
}

bool launch(Handle kernel, const Vectors& vectors, Text& why) {
  constexpr std::size_t kBytes = std::size_t{kElements} * 4;
  const std::uint32_t* const hosts[3] = {vectors.a, vectors.b, vectors.c};
  Address blocks[3] = {};
  for (int i = 0; i < 3; ++i) {
    if (!good("cuMemAlloc", cu.MemAlloc(&blocks[i], kBytes), why) ||
        !good("cuMemcpyHtoD", cu.MemcpyHtoD(blocks[i], hosts[i], kBytes), why))
      return false;
  }
  std::uint32_t factor = kFactor;
  void* arguments[] = {&blocks[0], &blocks[1], &blocks[2], &factor};
  const Result started = cu.LaunchKernel(kernel, kElements / kBlock, 1, 1, kBlock, 1, 1, 0, nullptr,
                                         arguments, nullptr);
  const bool done = good("cuLaunchKernel", started, why) &&
                    good("cuCtxSynchronize", cu.CtxSynchronize(), why) &&
                    good("cuMemcpyDtoH", cu.MemcpyDtoH(vectors.c, blocks[2], kBytes), why);
  for (const Address block : blocks) cu.MemFree(block);
  return done;
}

bool compute(int number, Text& why) {
  Handle module = nullptr;
  Handle kernel = nullptr;
  Vectors vectors{};
  if (!open(number, why) || !good("cuModuleLoadData", cu.ModuleLoadData(&module, kPtx), why) ||
      !good("cuModuleGetFunction", cu.ModuleGetFunction(&kernel, module, "gpuctl_mad"), why) ||
      !make_vectors(vectors, why))
    return false;
  const bool right = launch(kernel, vectors, why) && check_answer(vectors, why);
  std::free(vectors.a);
  return right;
}

}  // namespace

const Interface kCuda = {"cuda", load, list, memory, compute};

}  // namespace sanity
