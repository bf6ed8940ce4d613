// OpenCL, the common fall-back (Khronos CL/cl.h): its loader finds the vendors' drivers by /etc/OpenCL/vendors.
#include <cstdlib>
#include <cstring>

#include "calls.hpp"

namespace sanity {

bool with_cpu_devices = false;

namespace {

using ClInt = std::int32_t;
using ClUint = std::uint32_t;
using ClUlong = std::uint64_t;
using Handle = void*;

constexpr ClUlong kTypeCpu = 2;
constexpr ClUlong kTypeGpu = 4;
constexpr ClUlong kTypeAccelerator = 8;
constexpr ClUint kPlatformVersion = 0x0901;
constexpr ClUint kDeviceType = 0x1000;
constexpr ClUint kDeviceGlobalMemory = 0x101F;
constexpr ClUint kDeviceMaxAllocation = 0x1010;
constexpr ClUint kDeviceName = 0x102B;
constexpr ClUint kDriverVersion = 0x102D;
constexpr ClUint kPciBusInfo = 0x410F;   // cl_khr_pci_bus_info
constexpr ClUint kAmdTopology = 0x4037;  // cl_amd_device_attribute_query
constexpr ClUint kNvidiaBus = 0x4008;    // cl_nv_device_attribute_query
constexpr ClUint kNvidiaSlot = 0x4009;
constexpr ClUint kNvidiaDomain = 0x400A;
constexpr ClUint kNvidiaMajor = 0x4000;
constexpr ClUint kNvidiaMinor = 0x4001;
constexpr ClUint kBuildLog = 0x1183;
constexpr ClUlong kReadWrite = 1;
constexpr ClInt kDeviceNotFound = -1;
constexpr ClInt kNoPlatform = -1001;

constexpr const char* kSource =
    "__kernel void gpuctl_mad(__global const uint* a, __global const uint* b, __global uint* c, "
    "uint k)\n"
    "{ size_t i = get_global_id(0); c[i] = a[i] * k + b[i]; }\n";

struct Calls {
  ClInt (*get_platform_ids)(ClUint, Handle*, ClUint*);
  ClInt (*get_platform_info)(Handle, ClUint, std::size_t, void*, std::size_t*);
  ClInt (*get_device_ids)(Handle, ClUlong, ClUint, Handle*, ClUint*);
  ClInt (*get_device_info)(Handle, ClUint, std::size_t, void*, std::size_t*);
  Handle (*create_context)(const std::intptr_t*, ClUint, const Handle*, void*, void*, ClInt*);
  Handle (*create_command_queue)(Handle, Handle, ClUlong, ClInt*);
  Handle (*create_buffer)(Handle, ClUlong, std::size_t, void*, ClInt*);
  ClInt (*release_mem_object)(Handle);
  ClInt (*enqueue_write_buffer)(Handle, Handle, ClUint, std::size_t, std::size_t, const void*,
                                ClUint, const Handle*, Handle*);
  ClInt (*enqueue_read_buffer)(Handle, Handle, ClUint, std::size_t, std::size_t, void*, ClUint,
                               const Handle*, Handle*);
  Handle (*create_program_with_source)(Handle, ClUint, const char**, const std::size_t*, ClInt*);
  ClInt (*build_program)(Handle, ClUint, const Handle*, const char*, void*, void*);
  ClInt (*get_program_build_info)(Handle, Handle, ClUint, std::size_t, void*, std::size_t*);
  Handle (*create_kernel)(Handle, const char*, ClInt*);
  ClInt (*set_kernel_arg)(Handle, ClUint, std::size_t, const void*);
  ClInt (*enqueue_nd_range_kernel)(Handle, Handle, ClUint, const std::size_t*, const std::size_t*,
                                   const std::size_t*, ClUint, const Handle*, Handle*);
  ClInt (*finish)(Handle);
};
Calls cl;

struct Opened {
  Handle device;
  Handle context;
  Handle queue;
};
Opened opened[kMaxDevices];
int opened_count = 0;

bool failed(const char* call, ClInt error, Text& why) {
  why.add(call).add(": error -").add(static_cast<std::uint64_t>(-static_cast<std::int64_t>(error)));
  return false;
}

bool load_all(void* library, Text& why) {
  const Call calls[] = {{"clGetPlatformIDs", &cl.get_platform_ids},
                        {"clGetPlatformInfo", &cl.get_platform_info},
                        {"clGetDeviceIDs", &cl.get_device_ids},
                        {"clGetDeviceInfo", &cl.get_device_info},
                        {"clCreateContext", &cl.create_context},
                        {"clCreateCommandQueue", &cl.create_command_queue},
                        {"clCreateBuffer", &cl.create_buffer},
                        {"clReleaseMemObject", &cl.release_mem_object},
                        {"clEnqueueWriteBuffer", &cl.enqueue_write_buffer},
                        {"clEnqueueReadBuffer", &cl.enqueue_read_buffer},
                        {"clCreateProgramWithSource", &cl.create_program_with_source},
                        {"clBuildProgram", &cl.build_program},
                        {"clGetProgramBuildInfo", &cl.get_program_build_info},
                        {"clCreateKernel", &cl.create_kernel},
                        {"clSetKernelArg", &cl.set_kernel_arg},
                        {"clEnqueueNDRangeKernel", &cl.enqueue_nd_range_kernel},
                        {"clFinish", &cl.finish}};
  return load_calls(library, calls, why);
}

bool load(Versions& versions, Text& why) {
  const char* const names[] = {"libOpenCL.so.1", nullptr};
  void* library = load_library(names, versions.library, why);
  if (library == nullptr || !load_all(library, why)) return false;
  ClUint count = 0;
  const ClInt error = cl.get_platform_ids(0, nullptr, &count);
  if (error == kNoPlatform || (error == 0 && count == 0)) {
    why.add("no OpenCL driver is registered: /etc/OpenCL/vendors has none that loads");
    return false;
  }
  return error == 0 || failed("clGetPlatformIDs", error, why);
}

// The number in "OpenCL 3.0 …".
void add_runtime_version(Handle platform, Versions& versions) {
  char text[256] = "";
  if (cl.get_platform_info(platform, kPlatformVersion, sizeof text - 1, text, nullptr) != 0) return;
  char* number = std::strchr(text, ' ');
  if (number == nullptr) return;
  if (char* end = std::strchr(++number, ' '); end != nullptr) *end = '\0';
  versions.runtime.clear();
  versions.runtime.add(number);
}

bool load_and_ask(Versions& versions, Text& why) {
  if (!load(versions, why)) return false;
  Handle platform = nullptr;
  if (cl.get_platform_ids(1, &platform, nullptr) == 0) add_runtime_version(platform, versions);
  return true;
}

template <typename T>
bool info(Handle device, ClUint what, T* value) {
  return cl.get_device_info(device, what, sizeof *value, value, nullptr) == 0;
}

void set_address(Text& text, ClUint domain, ClUint bus, ClUint slot, ClUint function) {
  text.add_hex(domain, 4).add(":").add_hex(bus, 2).add(":").add_hex(slot, 2).add(".").add(function);
}

void add_address(Handle device, Device& found) {
  ClUint khronos[4];
  if (info(device, kPciBusInfo, &khronos))
    return set_address(found.pci_address, khronos[0], khronos[1], khronos[2], khronos[3]);
  ClUint bus = 0;
  ClUint slot = 0;
  ClUint domain = 0;
  if (info(device, kNvidiaBus, &bus) && info(device, kNvidiaSlot, &slot)) {
    info(device, kNvidiaDomain, &domain);
    return set_address(found.pci_address, domain, bus, slot >> 3, slot & 7);
  }
  struct {
    ClUint type;
    unsigned char unused[17];
    unsigned char bus, slot, function;
  } amd;
  if (info(device, kAmdTopology, &amd) && amd.type == 1)
    set_address(found.pci_address, 0, amd.bus, amd.slot, amd.function);
}

void describe(Handle device, Device& found) {
  char name[256] = "";
  if (cl.get_device_info(device, kDeviceName, sizeof name - 1, name, nullptr) == 0)
    found.name.add(name);
  info(device, kDeviceGlobalMemory, &found.memory_bytes);
  add_address(device, found);
  ClUint major = 0;
  ClUint minor = 0;
  if (info(device, kNvidiaMajor, &major) && info(device, kNvidiaMinor, &minor))
    found.capability.add(major).add(".").add(minor);
}

bool wanted(Handle device) {
  ClUlong type = 0;
  info(device, kDeviceType, &type);
  const ClUlong kinds = kTypeGpu | kTypeAccelerator | (with_cpu_devices ? kTypeCpu : 0);
  return (type & kinds) != 0;
}

bool list_platform(Handle platform, Device* devices, Text& why) {
  Handle found[kMaxDevices];
  ClUint count = 0;
  const ClInt error = cl.get_device_ids(platform, ~ClUlong{0} >> 32, kMaxDevices, found, &count);
  if (error == kDeviceNotFound) return true;
  if (error != 0) return failed("clGetDeviceIDs", error, why);
  for (ClUint i = 0; i < count && i < kMaxDevices && opened_count < kMaxDevices; ++i) {
    if (!wanted(found[i])) continue;
    describe(found[i], devices[opened_count]);
    opened[opened_count++].device = found[i];
  }
  return true;
}

bool list(Device* devices, int* count, Text& why) {
  Handle platforms[16];
  ClUint number = 0;
  const ClInt error = cl.get_platform_ids(16, platforms, &number);
  if (error != 0) return failed("clGetPlatformIDs", error, why);
  for (ClUint i = 0; i < number && i < 16; ++i) {
    if (!list_platform(platforms[i], devices, why)) return false;
  }
  *count = opened_count;
  return true;
}

bool open(int number, Text& why) {
  Opened& each = opened[number];
  if (each.queue != nullptr) return true;
  ClInt error = 0;
  each.context = cl.create_context(nullptr, 1, &each.device, nullptr, nullptr, &error);
  if (each.context == nullptr) return failed("clCreateContext", error, why);
  each.queue = cl.create_command_queue(each.context, each.device, 0, &error);
  return each.queue != nullptr || failed("clCreateCommandQueue", error, why);
}

struct Buffer {
  Handle queue;
  Handle memory;
};

bool write(void* state, std::uint64_t offset, const void* from, std::uint64_t bytes) {
  const auto* buffer = static_cast<Buffer*>(state);
  return cl.enqueue_write_buffer(buffer->queue, buffer->memory, 1, offset, bytes, from, 0, nullptr,
                                 nullptr) == 0;
}

bool read(void* state, std::uint64_t offset, void* to, std::uint64_t bytes) {
  const auto* buffer = static_cast<Buffer*>(state);
  return cl.enqueue_read_buffer(buffer->queue, buffer->memory, 1, offset, bytes, to, 0, nullptr,
                                nullptr) == 0;
}

bool memory(int number, std::uint64_t bytes, Text& why) {
  if (!open(number, why)) return false;
  ClUlong most = 0;
  if (info(opened[number].device, kDeviceMaxAllocation, &most) && most > 0 && bytes > most)
    bytes = most & ~std::uint64_t{7};
  ClInt error = 0;
  Buffer buffer{opened[number].queue, nullptr};
  buffer.memory = cl.create_buffer(opened[number].context, kReadWrite, bytes, nullptr, &error);
  if (buffer.memory == nullptr) {
    why.add(bytes).add(" bytes could not be allocated; ");
    return failed("clCreateBuffer", error, why);
  }
  const bool good = write_through({write, read, &buffer}, bytes, why);
  cl.release_mem_object(buffer.memory);
  return good;
}

Handle build(const Opened& on, Text& why) {
  ClInt error = 0;
  const char* source = kSource;
  Handle program = cl.create_program_with_source(on.context, 1, &source, nullptr, &error);
  if (program == nullptr) return failed("clCreateProgramWithSource", error, why), nullptr;
  error = cl.build_program(program, 1, &on.device, "", nullptr, nullptr);
  if (error != 0) {
    failed("clBuildProgram", error, why);
    char log[512] = "";
    if (cl.get_program_build_info(program, on.device, kBuildLog, sizeof log - 1, log, nullptr) == 0)
      why.add(": ").add(log);
    return nullptr;
  }
  Handle kernel = cl.create_kernel(program, "gpuctl_mad", &error);
  if (kernel == nullptr) failed("clCreateKernel", error, why);
  return kernel;
}

bool launch(const Opened& on, Handle kernel, const Vectors& vectors, Text& why) {
  constexpr std::size_t kBytes = std::size_t{kElements} * 4;
  std::uint32_t* const hosts[3] = {vectors.a, vectors.b, vectors.c};
  Handle buffers[3];
  ClInt error = 0;
  for (ClUint i = 0; i < 3; ++i) {
    buffers[i] = cl.create_buffer(on.context, kReadWrite, kBytes, nullptr, &error);
    if (buffers[i] == nullptr) return failed("clCreateBuffer", error, why);
    error =
        cl.enqueue_write_buffer(on.queue, buffers[i], 1, 0, kBytes, hosts[i], 0, nullptr, nullptr);
    if (error != 0) return failed("clEnqueueWriteBuffer", error, why);
    cl.set_kernel_arg(kernel, i, sizeof(Handle), static_cast<const void*>(&buffers[i]));
  }
  cl.set_kernel_arg(kernel, 3, sizeof kFactor, &kFactor);
  const std::size_t size = kElements;
  error =
      cl.enqueue_nd_range_kernel(on.queue, kernel, 1, nullptr, &size, nullptr, 0, nullptr, nullptr);
  if (error == 0) error = cl.finish(on.queue);
  if (error != 0) return failed("clEnqueueNDRangeKernel", error, why);
  error =
      cl.enqueue_read_buffer(on.queue, buffers[2], 1, 0, kBytes, vectors.c, 0, nullptr, nullptr);
  for (Handle each : buffers) cl.release_mem_object(each);
  return error == 0 || failed("clEnqueueReadBuffer", error, why);
}

bool compute(int number, Text& why) {
  if (!open(number, why)) return false;
  Vectors vectors{};
  Handle kernel = build(opened[number], why);
  if (kernel == nullptr || !make_vectors(vectors, why)) return false;
  const bool good = launch(opened[number], kernel, vectors, why) && check_answer(vectors, why);
  std::free(vectors.a);
  return good;
}

}  // namespace

const Interface kOpenCl = {"opencl", load_and_ask, list, memory, compute};

}  // namespace sanity
