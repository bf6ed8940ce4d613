// Intel's Level Zero (ze_api.h of oneapi-src/level-zero, 1.0 with the PCI extension of 1.3).
#include <cstdlib>

#include "calls.hpp"
#include "spirv.hpp"

namespace sanity {
namespace {

using Result = std::uint32_t;
constexpr Result kUninitialized = 0x78000001;  // ZE_RESULT_ERROR_UNINITIALIZED
using Handle = void*;

// ze_structure_type_t
constexpr std::uint32_t kDeviceProperties = 0x3;
constexpr std::uint32_t kMemoryProperties = 0x7;
constexpr std::uint32_t kContextDesc = 0xd;
constexpr std::uint32_t kQueueDesc = 0xe;
constexpr std::uint32_t kDeviceMemoryDesc = 0x15;
constexpr std::uint32_t kModuleDesc = 0x1b;
constexpr std::uint32_t kKernelDesc = 0x1d;
constexpr std::uint32_t kPciProperties = 0x10008;

constexpr std::uint32_t kSynchronous = 1;  // ZE_COMMAND_QUEUE_MODE_SYNCHRONOUS
constexpr std::uint32_t kBlock = 256;

struct DeviceProperties {
  std::uint32_t stype;
  void* next;
  std::uint32_t type, vendor_id, device_id, flags, subdevice_id, core_clock_rate;
  std::uint64_t max_allocation;
  std::uint32_t more[7];
  std::uint64_t timer_resolution;
  std::uint32_t timestamp_bits, kernel_timestamp_bits;
  unsigned char uuid[16];
  char name[256];
};

struct MemoryProperties {
  std::uint32_t stype;
  void* next;
  std::uint32_t flags, max_clock_rate, max_bus_width;
  std::uint64_t total_bytes;
  char name[256];
};

struct PciProperties {
  std::uint32_t stype;
  void* next;
  std::uint32_t domain, bus, device, function;
  std::int32_t generation, width;
  std::int64_t bandwidth;
};

struct FlagsDesc {
  std::uint32_t stype;
  const void* next;
  std::uint32_t flags;
  std::uint32_t ordinal;
};

struct QueueDesc {
  std::uint32_t stype;
  const void* next;
  std::uint32_t ordinal, index, flags, mode, priority;
};

struct ModuleDesc {
  std::uint32_t stype;
  const void* next;
  std::uint32_t format;  // 0: SPIR-V
  std::size_t size;
  const void* module;
  const char* build_flags;
  const void* constants;
};

struct KernelDesc {
  std::uint32_t stype;
  const void* next;
  std::uint32_t flags;
  const char* name;
};

struct Groups {
  std::uint32_t x, y, z;
};

struct Calls {
  Result (*init)(std::uint32_t);
  Result (*driver_get)(std::uint32_t*, Handle*);
  Result (*driver_get_api_version)(Handle, std::uint32_t*);
  Result (*device_get)(Handle, std::uint32_t*, Handle*);
  Result (*device_get_properties)(Handle, DeviceProperties*);
  Result (*device_get_memory_properties)(Handle, std::uint32_t*, MemoryProperties*);
  Result (*context_create)(Handle, const FlagsDesc*, Handle*);
  Result (*command_list_create_immediate)(Handle, Handle, const QueueDesc*, Handle*);
  Result (*command_list_append_memory_copy)(Handle, void*, const void*, std::size_t, Handle,
                                            std::uint32_t, Handle*);
  Result (*command_list_append_launch_kernel)(Handle, Handle, const Groups*, Handle, std::uint32_t,
                                              Handle*);
  Result (*mem_alloc_device)(Handle, const FlagsDesc*, std::size_t, std::size_t, Handle, void**);
  Result (*mem_free)(Handle, void*);
  Result (*module_create)(Handle, Handle, const ModuleDesc*, Handle*, Handle*);
  Result (*kernel_create)(Handle, const KernelDesc*, Handle*);
  Result (*kernel_set_group_size)(Handle, std::uint32_t, std::uint32_t, std::uint32_t);
  Result (*kernel_set_argument_value)(Handle, std::uint32_t, std::size_t, const void*);
  Result (*device_pci_get_properties)(Handle, PciProperties*);
};
Calls ze;
bool nothing_there = false;

struct Opened {
  Handle driver;
  Handle device;
  Handle context;
  Handle list;
};
Opened opened[kMaxDevices];
int opened_count = 0;

bool good(const char* call, Result error, Text& why) {
  if (error == 0) return true;
  why.add(call).add(": error 0x").add_hex(error, 8);
  return false;
}

bool load_all(void* library, Text& why) {
  const Call calls[] = {{"zeInit", &ze.init},
                        {"zeDriverGet", &ze.driver_get},
                        {"zeDriverGetApiVersion", &ze.driver_get_api_version},
                        {"zeDeviceGet", &ze.device_get},
                        {"zeDeviceGetProperties", &ze.device_get_properties},
                        {"zeDeviceGetMemoryProperties", &ze.device_get_memory_properties},
                        {"zeContextCreate", &ze.context_create},
                        {"zeCommandListCreateImmediate", &ze.command_list_create_immediate},
                        {"zeCommandListAppendMemoryCopy", &ze.command_list_append_memory_copy},
                        {"zeCommandListAppendLaunchKernel", &ze.command_list_append_launch_kernel},
                        {"zeMemAllocDevice", &ze.mem_alloc_device},
                        {"zeMemFree", &ze.mem_free},
                        {"zeModuleCreate", &ze.module_create},
                        {"zeKernelCreate", &ze.kernel_create},
                        {"zeKernelSetGroupSize", &ze.kernel_set_group_size},
                        {"zeKernelSetArgumentValue", &ze.kernel_set_argument_value}};
  Text unused;
  const Call optional[] = {{"zeDevicePciGetPropertiesExt", &ze.device_pci_get_properties}};
  load_calls(library, optional, unused);
  return load_calls(library, calls, why);
}

bool load(Versions& versions, Text& why) {
  const char* const names[] = {"libze_loader.so.1", nullptr};
  void* library = load_library(names, versions.library, why);
  if (library == nullptr || !load_all(library, why)) return false;
  why.clear();
  const Result begun = ze.init(0);
  nothing_there =
      begun ==
      kUninitialized;  // no driver has a device; which there are is the next level's to find out
  if (nothing_there) return true;
  if (!good("zeInit", begun, why)) return false;
  std::uint32_t count = 1;
  std::uint32_t version = 0;
  Handle driver = nullptr;
  if (!good("zeDriverGet", ze.driver_get(&count, &driver), why)) return false;
  if (driver != nullptr && ze.driver_get_api_version(driver, &version) == 0)
    versions.runtime.add(version >> 16).add(".").add(version & 0xffff);
  return true;
}

void describe(Handle device, Device& found) {
  DeviceProperties properties{};
  properties.stype = kDeviceProperties;
  if (ze.device_get_properties(device, &properties) == 0) {
    properties.name[sizeof properties.name - 1] = '\0';
    found.name.add(properties.name);
  }
  MemoryProperties memories[8] = {};
  for (MemoryProperties& each : memories) each.stype = kMemoryProperties;
  std::uint32_t count = 8;
  if (ze.device_get_memory_properties(device, &count, memories) == 0) {
    for (std::uint32_t i = 0; i < count && i < 8; ++i)
      found.memory_bytes += memories[i].total_bytes;
  }
  PciProperties pci{};
  pci.stype = kPciProperties;
  if (ze.device_pci_get_properties != nullptr && ze.device_pci_get_properties(device, &pci) == 0)
    found.pci_address.add_hex(pci.domain, 4)
        .add(":")
        .add_hex(pci.bus, 2)
        .add(":")
        .add_hex(pci.device, 2)
        .add(".")
        .add(pci.function);
}

bool list(Device* devices, int* count, Text& why) {
  if (nothing_there) return true;
  Handle drivers[8];
  std::uint32_t driver_count = 8;
  if (!good("zeDriverGet", ze.driver_get(&driver_count, drivers), why)) return false;
  for (std::uint32_t d = 0; d < driver_count && d < 8; ++d) {
    Handle found[kMaxDevices];
    std::uint32_t number = kMaxDevices;
    if (!good("zeDeviceGet", ze.device_get(drivers[d], &number, found), why)) return false;
    for (std::uint32_t i = 0; i < number && opened_count < kMaxDevices; ++i) {
      describe(found[i], devices[opened_count]);
      opened[opened_count++] = {drivers[d], found[i], nullptr, nullptr};
    }
  }
  *count = opened_count;
  return true;
}

bool open(int number, Text& why) {
  Opened& each = opened[number];
  if (each.list != nullptr) return true;
  const FlagsDesc context{kContextDesc, nullptr, 0, 0};
  const QueueDesc queue{kQueueDesc, nullptr, 0, 0, 0, kSynchronous, 0};
  return good("zeContextCreate", ze.context_create(each.driver, &context, &each.context), why) &&
         good("zeCommandListCreateImmediate",
              ze.command_list_create_immediate(each.context, each.device, &queue, &each.list), why);
}

Result copy(const Opened& on, void* to, const void* from, std::size_t bytes) {
  return ze.command_list_append_memory_copy(on.list, to, from, bytes, nullptr, 0, nullptr);
}

struct Block {
  const Opened* on;
  char* start;
};

bool write(void* state, std::uint64_t offset, const void* from, std::uint64_t bytes) {
  const auto* block = static_cast<Block*>(state);
  return copy(*block->on, block->start + offset, from, bytes) == 0;
}

bool read(void* state, std::uint64_t offset, void* to, std::uint64_t bytes) {
  const auto* block = static_cast<Block*>(state);
  return copy(*block->on, to, block->start + offset, bytes) == 0;
}

Result allocate(const Opened& on, std::size_t bytes, void** place) {
  const FlagsDesc desc{kDeviceMemoryDesc, nullptr, 0, 0};
  return ze.mem_alloc_device(on.context, &desc, bytes, 64, on.device, place);
}

bool memory(int number, std::uint64_t bytes, Text& why) {
  if (!open(number, why)) return false;
  void* place = nullptr;
  if (const Result error = allocate(opened[number], bytes, &place); error != 0) {
    why.add(bytes).add(" bytes could not be allocated; ");
    return good("zeMemAllocDevice", error, why);
  }
  Block block{&opened[number], static_cast<char*>(place)};
  const bool kept = write_through({write, read, &block}, bytes, why);
  ze.mem_free(opened[number].context, place);
  return kept;
}

Handle build(const Opened& on, Text& why) {
  const ModuleDesc desc{kModuleDesc, nullptr, 0, sizeof kSpirv, kSpirv, "", nullptr};
  const KernelDesc kernel_desc{kKernelDesc, nullptr, 0, "gpuctl_mad"};
  Handle module = nullptr;
  Handle kernel = nullptr;
  const bool made =
      good("zeModuleCreate", ze.module_create(on.context, on.device, &desc, &module, nullptr),
           why) &&
      good("zeKernelCreate", ze.kernel_create(module, &kernel_desc, &kernel), why) &&
      good("zeKernelSetGroupSize", ze.kernel_set_group_size(kernel, kBlock, 1, 1), why);
  return made ? kernel : nullptr;
}

bool launch(const Opened& on, Handle kernel, const Vectors& vectors, Text& why) {
  constexpr std::size_t kBytes = std::size_t{kElements} * 4;
  const std::uint32_t* const hosts[3] = {vectors.a, vectors.b, vectors.c};
  void* blocks[3] = {};
  for (std::uint32_t i = 0; i < 3; ++i) {
    if (!good("zeMemAllocDevice", allocate(on, kBytes, &blocks[i]), why) ||
        !good("zeCommandListAppendMemoryCopy", copy(on, blocks[i], hosts[i], kBytes), why) ||
        !good("zeKernelSetArgumentValue",
              ze.kernel_set_argument_value(kernel, i, sizeof(void*),
                                           static_cast<const void*>(&blocks[i])),
              why))
      return false;
  }
  const Groups groups{kElements / kBlock, 1, 1};
  const bool done =
      good("zeKernelSetArgumentValue",
           ze.kernel_set_argument_value(kernel, 3, sizeof kFactor, &kFactor), why) &&
      good("zeCommandListAppendLaunchKernel",
           ze.command_list_append_launch_kernel(on.list, kernel, &groups, nullptr, 0, nullptr),
           why) &&
      good("zeCommandListAppendMemoryCopy", copy(on, vectors.c, blocks[2], kBytes), why);
  for (void* block : blocks) ze.mem_free(on.context, block);
  return done;
}

bool compute(int number, Text& why) {
  if (!open(number, why)) return false;
  Vectors vectors{};
  Handle kernel = build(opened[number], why);
  if (kernel == nullptr || !make_vectors(vectors, why)) return false;
  const bool right = launch(opened[number], kernel, vectors, why) && check_answer(vectors, why);
  std::free(vectors.a);
  return right;
}

}  // namespace

const Interface kLevelZero = {"level_zero", load, list, memory, compute};

}  // namespace sanity
