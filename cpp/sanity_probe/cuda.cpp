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
  Result (*init)(unsigned);
  Result (*driver_get_version)(int*);
  Result (*get_error_string)(Result, const char**);
  Result (*device_get_count)(int*);
  Result (*device_get)(Device32*, int);
  Result (*device_get_name)(char*, int, Device32);
  Result (*device_get_pci_bus_id)(char*, int, Device32);
  Result (*device_get_uuid)(unsigned char*, Device32);
  Result (*device_total_mem)(std::size_t*, Device32);
  Result (*device_get_attribute)(int*, int, Device32);
  Result (*ctx_create)(Handle*, unsigned, Device32);
  Result (*ctx_set_current)(Handle);
  Result (*ctx_synchronize)();
  Result (*mem_alloc)(Address*, std::size_t);
  Result (*mem_free)(Address);
  Result (*memcpy_h_to_d)(Address, const void*, std::size_t);
  Result (*memcpy_d_to_h)(void*, Address, std::size_t);
  Result (*module_load_data)(Handle*, const void*);
  Result (*module_get_function)(Handle*, Handle, const char*);
  Result (*launch_kernel)(Handle, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                          unsigned, Handle, void**, void**);
};
Calls cu;
bool nothing_there = false;
bool is_mig[kMaxDevices];
Handle contexts[kMaxDevices];

bool good(const char* call, Result error, Text& why) {
  if (error == 0) return true;
  const char* words = nullptr;
  why.add(call).add(": error ").add(static_cast<std::uint64_t>(error));
  if (cu.get_error_string != nullptr && cu.get_error_string(error, &words) == 0 && words != nullptr)
    why.add(", ").add(words);
  return false;
}

bool load_all(void* library, Text& why) {
  const Call calls[] = {{"cuInit", &cu.init},
                        {"cuDriverGetVersion", &cu.driver_get_version},
                        {"cuGetErrorString", &cu.get_error_string},
                        {"cuDeviceGetCount", &cu.device_get_count},
                        {"cuDeviceGet", &cu.device_get},
                        {"cuDeviceGetName", &cu.device_get_name},
                        {"cuDeviceGetPCIBusId", &cu.device_get_pci_bus_id},
                        {"cuDeviceTotalMem_v2", &cu.device_total_mem},
                        {"cuDeviceGetAttribute", &cu.device_get_attribute},
                        {"cuCtxCreate_v2", &cu.ctx_create},
                        {"cuCtxSetCurrent", &cu.ctx_set_current},
                        {"cuCtxSynchronize", &cu.ctx_synchronize},
                        {"cuMemAlloc_v2", &cu.mem_alloc},
                        {"cuMemFree_v2", &cu.mem_free},
                        {"cuMemcpyHtoD_v2", &cu.memcpy_h_to_d},
                        {"cuMemcpyDtoH_v2", &cu.memcpy_d_to_h},
                        {"cuModuleLoadData", &cu.module_load_data},
                        {"cuModuleGetFunction", &cu.module_get_function},
                        {"cuLaunchKernel", &cu.launch_kernel}};
  return load_calls(library, calls, why);
}

// Since CUDA 11.4 of a MIG instance too; older drivers have the first form only.
void load_uuid(void* library) {
  Text unused;
  for (const char* name : {"cuDeviceGetUuid_v2", "cuDeviceGetUuid"}) {
    const Call call[] = {{name, &cu.device_get_uuid}};
    if (load_calls(library, call, unused)) return;
  }
}

bool load(Versions& versions, Text& why) {
  const char* const names[] = {"libcuda.so.1", nullptr};
  void* library = load_library(names, versions.library, why);
  if (library == nullptr || !load_all(library, why)) return false;
  load_uuid(library);
  int version = 0;
  const Result begun = cu.init(0);
  // Without a GPU nothing can be asked after that; which there are is the next level's to find out.
  nothing_there = begun == kNoDevice;
  if ((!nothing_there && !good("cuInit", begun, why)) ||
      !good("cuDriverGetVersion", cu.driver_get_version(&version), why))
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
  if (cu.device_get_name(text, sizeof text, device) == 0) found.name.add(text);
  if (cu.device_get_pci_bus_id(text, sizeof text, device) == 0) found.pci_address.add(text);
  unsigned char uuid[16];
  is_mig[number] = std::strstr(found.name.data, " MIG ") != nullptr;
  if (cu.device_get_uuid != nullptr && cu.device_get_uuid(uuid, device) == 0)
    add_uuid(uuid, found.uuid);
  if (is_mig[number] && found.uuid.length > 4) std::memcpy(found.uuid.data, "MIG", 3);
  std::size_t memory = 0;
  if (cu.device_total_mem(&memory, device) == 0) found.memory_bytes = memory;
  int major = 0;
  int minor = 0;
  if (cu.device_get_attribute(&major, kCapabilityMajor, device) == 0 &&
      cu.device_get_attribute(&minor, kCapabilityMinor, device) == 0)
    found.capability.add(static_cast<std::uint64_t>(major))
        .add(".")
        .add(static_cast<std::uint64_t>(minor));
}

bool list(Device* devices, int* count, Text& why) {
  if (nothing_there) return true;
  if (!good("cuDeviceGetCount", cu.device_get_count(count), why)) return false;
  if (*count > kMaxDevices) *count = kMaxDevices;
  for (int i = 0; i < *count; ++i) {
    Device32 device = 0;
    if (!good("cuDeviceGet", cu.device_get(&device, i), why)) return false;
    describe(device, i, devices[i]);
  }
  return true;
}

bool open(int number, Text& why) {
  Device32 device = 0;
  if (contexts[number] != nullptr)
    return good("cuCtxSetCurrent", cu.ctx_set_current(contexts[number]), why);
  return good("cuDeviceGet", cu.device_get(&device, number), why) &&
         good("cuCtxCreate", cu.ctx_create(&contexts[number], 0, device), why);
}

bool write(void* state, std::uint64_t offset, const void* from, std::uint64_t bytes) {
  return cu.memcpy_h_to_d(*static_cast<Address*>(state) + offset, from, bytes) == 0;
}

bool read(void* state, std::uint64_t offset, void* to, std::uint64_t bytes) {
  return cu.memcpy_d_to_h(to, *static_cast<Address*>(state) + offset, bytes) == 0;
}

bool memory(int number, std::uint64_t bytes, Text& why) {
  Address block = 0;
  if (!open(number, why)) return false;
  if (const Result error = cu.mem_alloc(&block, bytes); error != 0) {
    why.add(bytes).add(" bytes could not be allocated; ");
    return good("cuMemAlloc", error, why);
  }
  const bool kept = write_through({write, read, &block}, bytes, why);
  cu.mem_free(block);
  return kept;
}

bool launch(Handle kernel, const Vectors& vectors, Text& why) {
  constexpr std::size_t kBytes = std::size_t{kElements} * 4;
  const std::uint32_t* const hosts[3] = {vectors.a, vectors.b, vectors.c};
  Address blocks[3] = {};
  for (int i = 0; i < 3; ++i) {
    if (!good("cuMemAlloc", cu.mem_alloc(&blocks[i], kBytes), why) ||
        !good("cuMemcpyHtoD", cu.memcpy_h_to_d(blocks[i], hosts[i], kBytes), why))
      return false;
  }
  std::uint32_t factor = kFactor;
  void* arguments[] = {&blocks[0], &blocks[1], &blocks[2], &factor};
  const Result started = cu.launch_kernel(kernel, kElements / kBlock, 1, 1, kBlock, 1, 1, 0,
                                          nullptr, arguments, nullptr);
  const bool done = good("cuLaunchKernel", started, why) &&
                    good("cuCtxSynchronize", cu.ctx_synchronize(), why) &&
                    good("cuMemcpyDtoH", cu.memcpy_d_to_h(vectors.c, blocks[2], kBytes), why);
  for (const Address block : blocks) cu.mem_free(block);
  return done;
}

bool compute(int number, Text& why) {
  Handle module = nullptr;
  Handle kernel = nullptr;
  Vectors vectors{};
  if (!open(number, why) || !good("cuModuleLoadData", cu.module_load_data(&module, kPtx), why) ||
      !good("cuModuleGetFunction", cu.module_get_function(&kernel, module, "gpuctl_mad"), why) ||
      !make_vectors(vectors, why))
    return false;
  const bool right = launch(kernel, vectors, why) && check_answer(vectors, why);
  std::free(vectors.a);
  return right;
}

}  // namespace

const Interface kCuda = {"cuda", load, list, memory, compute};

}  // namespace sanity
