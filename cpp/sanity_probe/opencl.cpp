// OpenCL, the common fall-back (Khronos CL/cl.h): its loader finds the vendors' drivers by /etc/OpenCL/vendors.
#include <cstdlib>
#include <cstring>

#include "calls.hpp"

namespace sanity {

bool with_cpu_devices = false;

namespace {

using cl_int = std::int32_t;
using cl_uint = std::uint32_t;
using cl_ulong = std::uint64_t;
using Handle = void*;

constexpr cl_ulong kTypeCpu = 2;
constexpr cl_ulong kTypeGpu = 4;
constexpr cl_ulong kTypeAccelerator = 8;
constexpr cl_uint kPlatformVersion = 0x0901;
constexpr cl_uint kDeviceType = 0x1000;
constexpr cl_uint kDeviceGlobalMemory = 0x101F;
constexpr cl_uint kDeviceMaxAllocation = 0x1010;
constexpr cl_uint kDeviceName = 0x102B;
constexpr cl_uint kDriverVersion = 0x102D;
constexpr cl_uint kPciBusInfo = 0x410F;   // cl_khr_pci_bus_info
constexpr cl_uint kAmdTopology = 0x4037;  // cl_amd_device_attribute_query
constexpr cl_uint kNvidiaBus = 0x4008;    // cl_nv_device_attribute_query
constexpr cl_uint kNvidiaSlot = 0x4009;
constexpr cl_uint kNvidiaDomain = 0x400A;
constexpr cl_uint kNvidiaMajor = 0x4000;
constexpr cl_uint kNvidiaMinor = 0x4001;
constexpr cl_uint kBuildLog = 0x1183;
constexpr cl_ulong kReadWrite = 1;
constexpr cl_int kDeviceNotFound = -1;
constexpr cl_int kNoPlatform = -1001;

constexpr const char* kSource =
    "__kernel void gpuctl_mad(__global const uint* a, __global const uint* b, __global uint* c, "
    "uint k)\n"
    "{ size_t i = get_global_id(0); c[i] = a[i] * k + b[i]; }\n";

struct Calls {
  cl_int (*GetPlatformIDs)(cl_uint, Handle*, cl_uint*);
  cl_int (*GetPlatformInfo)(Handle, cl_uint, std::size_t, void*, std::size_t*);
  cl_int (*GetDeviceIDs)(Handle, cl_ulong, cl_uint, Handle*, cl_uint*);
  cl_int (*GetDeviceInfo)(Handle, cl_uint, std::size_t, void*, std::size_t*);
  Handle (*CreateContext)(const std::intptr_t*, cl_uint, const Handle*, void*, void*, cl_int*);
  Handle (*CreateCommandQueue)(Handle, Handle, cl_ulong, cl_int*);
  Handle (*CreateBuffer)(Handle, cl_ulong, std::size_t, void*, cl_int*);
  cl_int (*ReleaseMemObject)(Handle);
  cl_int (*EnqueueWriteBuffer)(Handle, Handle, cl_uint, std::size_t, std::size_t, const void*,
                               cl_uint, const Handle*, Handle*);
  cl_int (*EnqueueReadBuffer)(Handle, Handle, cl_uint, std::size_t, std::size_t, void*, cl_uint,
                              const Handle*, Handle*);
  Handle (*CreateProgramWithSource)(Handle, cl_uint, const char**, const std::size_t*, cl_int*);
  cl_int (*BuildProgram)(Handle, cl_uint, const Handle*, const char*, void*, void*);
  cl_int (*GetProgramBuildInfo)(Handle, Handle, cl_uint, std::size_t, void*, std::size_t*);
  Handle (*CreateKernel)(Handle, const char*, cl_int*);
  cl_int (*SetKernelArg)(Handle, cl_uint, std::size_t, const void*);
  cl_int (*EnqueueNDRangeKernel)(Handle, Handle, cl_uint, const std::size_t*, const std::size_t*,
                                 const std::size_t*, cl_uint, const Handle*, Handle*);
  cl_int (*Finish)(Handle);
};
Calls cl;

struct Opened {
  Handle device;
  Handle context;
  Handle queue;
};
Opened opened[kMaxDevices];
int opened_count = 0;

bool failed(const char* call, cl_int error, Text& why) {
  why.add(call).add(": error -").add(static_cast<std::uint64_t>(-static_cast<std::int64_t>(error)));
  return false;
}

bool load_all(void* library, Text& why) {
  const Call calls[] = {{"clGetPlatformIDs", &cl.GetPlatformIDs},
                        {"clGetPlatformInfo", &cl.GetPlatformInfo},
                        {"clGetDeviceIDs", &cl.GetDeviceIDs},
                        {"clGetDeviceInfo", &cl.GetDeviceInfo},
                        {"clCreateContext", &cl.CreateContext},
                        {"clCreateCommandQueue", &cl.CreateCommandQueue},
                        {"clCreateBuffer", &cl.CreateBuffer},
                        {"clReleaseMemObject", &cl.ReleaseMemObject},
                        {"clEnqueueWriteBuffer", &cl.EnqueueWriteBuffer},
                        {"clEnqueueReadBuffer", &cl.EnqueueReadBuffer},
                        {"clCreateProgramWithSource", &cl.CreateProgramWithSource},
                        {"clBuildProgram", &cl.BuildProgram},
                        {"clGetProgramBuildInfo", &cl.GetProgramBuildInfo},
                        {"clCreateKernel", &cl.CreateKernel},
                        {"clSetKernelArg", &cl.SetKernelArg},
                        {"clEnqueueNDRangeKernel", &cl.EnqueueNDRangeKernel},
                        {"clFinish", &cl.Finish}};
  return load_calls(library, calls, why);
}

bool load(Versions& versions, Text& why) {
  const char* const names[] = {"libOpenCL.so.1", nullptr};
  void* library = load_library(names, versions.library, why);
  if (library == nullptr || !load_all(library, why)) return false;
  cl_uint count = 0;
  const cl_int error = cl.GetPlatformIDs(0, nullptr, &count);
  if (error == kNoPlatform || (error == 0 && count == 0)) {
    why.add("no OpenCL driver is registered: /etc/OpenCL/vendors has none that loads");
    return false;
  }
  return error == 0 || failed("clGetPlatformIDs", error, why);
}

// The number in "OpenCL 3.0 …".
void add_runtime_version(Handle platform, Versions& versions) {
  char text[256] = "";
  if (cl.GetPlatformInfo(platform, kPlatformVersion, sizeof text - 1, text, nullptr) != 0) return;
  char* number = std::strchr(text, ' ');
  if (number == nullptr) return;
  if (char* end = std::strchr(++number, ' '); end != nullptr) *end = '\0';
  versions.runtime.clear();
  versions.runtime.add(number);
}

bool load_and_ask(Versions& versions, Text& why) {
  if (!load(versions, why)) return false;
  Handle platform = nullptr;
  if (cl.GetPlatformIDs(1, &platform, nullptr) == 0) add_runtime_version(platform, versions);
  return true;
}

template <typename T>
bool info(Handle device, cl_uint what, T* value) {
  return cl.GetDeviceInfo(device, what, sizeof *value, value, nullptr) == 0;
}

void set_address(Text& text, cl_uint domain, cl_uint bus, cl_uint slot, cl_uint function) {
  text.add_hex(domain, 4).add(":").add_hex(bus, 2).add(":").add_hex(slot, 2).add(".").add(function);
}

void add_address(Handle device, Device& found) {
  cl_uint khronos[4];
  if (info(device, kPciBusInfo, &khronos))
    return set_address(found.pci_address, khronos[0], khronos[1], khronos[2], khronos[3]);
  cl_uint bus = 0;
  cl_uint slot = 0;
  cl_uint domain = 0;
  if (info(device, kNvidiaBus, &bus) && info(device, kNvidiaSlot, &slot)) {
    info(device, kNvidiaDomain, &domain);
    return set_address(found.pci_address, domain, bus, slot >> 3, slot & 7);
  }
  struct {
    cl_uint type;
    unsigned char unused[17];
    unsigned char bus, slot, function;
  } amd;
  if (info(device, kAmdTopology, &amd) && amd.type == 1)
    set_address(found.pci_address, 0, amd.bus, amd.slot, amd.function);
}

void describe(Handle device, Device& found) {
  char name[256] = "";
  if (cl.GetDeviceInfo(device, kDeviceName, sizeof name - 1, name, nullptr) == 0)
    found.name.add(name);
  info(device, kDeviceGlobalMemory, &found.memory_bytes);
  add_address(device, found);
  cl_uint major = 0;
  cl_uint minor = 0;
  if (info(device, kNvidiaMajor, &major) && info(device, kNvidiaMinor, &minor))
    found.capability.add(major).add(".").add(minor);
}

bool wanted(Handle device) {
  cl_ulong type = 0;
  info(device, kDeviceType, &type);
  const cl_ulong kinds = kTypeGpu | kTypeAccelerator | (with_cpu_devices ? kTypeCpu : 0);
  return (type & kinds) != 0;
}

bool list_platform(Handle platform, Device* devices, Text& why) {
  Handle found[kMaxDevices];
  cl_uint count = 0;
  const cl_int error = cl.GetDeviceIDs(platform, ~cl_ulong{0} >> 32, kMaxDevices, found, &count);
  if (error == kDeviceNotFound) return true;
  if (error != 0) return failed("clGetDeviceIDs", error, why);
  for (cl_uint i = 0; i < count && i < kMaxDevices && opened_count < kMaxDevices; ++i) {
    if (!wanted(found[i])) continue;
    describe(found[i], devices[opened_count]);
    opened[opened_count++].device = found[i];
  }
  return true;
}

bool list(Device* devices, int* count, Text& why) {
  Handle platforms[16];
  cl_uint number = 0;
  const cl_int error = cl.GetPlatformIDs(16, platforms, &number);
  if (error != 0) return failed("clGetPlatformIDs", error, why);
  for (cl_uint i = 0; i < number && i < 16; ++i) {
    if (!list_platform(platforms[i], devices, why)) return false;
  }
  *count = opened_count;
  return true;
}

bool open(int number, Text& why) {
  Opened& each = opened[number];
  if (each.queue != nullptr) return true;
  cl_int error = 0;
  each.context = cl.CreateContext(nullptr, 1, &each.device, nullptr, nullptr, &error);
  if (each.context == nullptr) return failed("clCreateContext", error, why);
  each.queue = cl.CreateCommandQueue(each.context, each.device, 0, &error);
  return each.queue != nullptr || failed("clCreateCommandQueue", error, why);
}

struct Buffer {
  Handle queue;
  Handle memory;
};

bool write(void* state, std::uint64_t offset, const void* from, std::uint64_t bytes) {
  const auto* buffer = static_cast<Buffer*>(state);
  return cl.EnqueueWriteBuffer(buffer->queue, buffer->memory, 1, offset, bytes, from, 0, nullptr,
                               nullptr) == 0;
}

bool read(void* state, std::uint64_t offset, void* to, std::uint64_t bytes) {
  const auto* buffer = static_cast<Buffer*>(state);
  return cl.EnqueueReadBuffer(buffer->queue, buffer->memory, 1, offset, bytes, to, 0, nullptr,
                              nullptr) == 0;
}

bool memory(int number, std::uint64_t bytes, Text& why) {
  if (!open(number, why)) return false;
  cl_ulong most = 0;
  if (info(opened[number].device, kDeviceMaxAllocation, &most) && most > 0 && bytes > most)
    bytes = most & ~std::uint64_t{7};
  cl_int error = 0;
  Buffer buffer{opened[number].queue, nullptr};
  buffer.memory = cl.CreateBuffer(opened[number].context, kReadWrite, bytes, nullptr, &error);
  if (buffer.memory == nullptr) {
    why.add(bytes).add(" bytes could not be allocated; ");
    return failed("clCreateBuffer", error, why);
  }
  const bool good = write_through({write, read, &buffer}, bytes, why);
  cl.ReleaseMemObject(buffer.memory);
  return good;
}

Handle build(const Opened& on, Text& why) {
  cl_int error = 0;
  const char* source = kSource;
  Handle program = cl.CreateProgramWithSource(on.context, 1, &source, nullptr, &error);
  if (program == nullptr) return failed("clCreateProgramWithSource", error, why), nullptr;
  error = cl.BuildProgram(program, 1, &on.device, "", nullptr, nullptr);
  if (error != 0) {
    failed("clBuildProgram", error, why);
    char log[512] = "";
    if (cl.GetProgramBuildInfo(program, on.device, kBuildLog, sizeof log - 1, log, nullptr) == 0)
      why.add(": ").add(log);
    return nullptr;
  }
  Handle kernel = cl.CreateKernel(program, "gpuctl_mad", &error);
  if (kernel == nullptr) failed("clCreateKernel", error, why);
  return kernel;
}

bool launch(const Opened& on, Handle kernel, const Vectors& vectors, Text& why) {
  constexpr std::size_t kBytes = std::size_t{kElements} * 4;
  std::uint32_t* const hosts[3] = {vectors.a, vectors.b, vectors.c};
  Handle buffers[3];
  cl_int error = 0;
  for (cl_uint i = 0; i < 3; ++i) {
    buffers[i] = cl.CreateBuffer(on.context, kReadWrite, kBytes, nullptr, &error);
    if (buffers[i] == nullptr) return failed("clCreateBuffer", error, why);
    error =
        cl.EnqueueWriteBuffer(on.queue, buffers[i], 1, 0, kBytes, hosts[i], 0, nullptr, nullptr);
    if (error != 0) return failed("clEnqueueWriteBuffer", error, why);
    cl.SetKernelArg(kernel, i, sizeof(Handle), &buffers[i]);
  }
  cl.SetKernelArg(kernel, 3, sizeof kFactor, &kFactor);
  const std::size_t size = kElements;
  error =
      cl.EnqueueNDRangeKernel(on.queue, kernel, 1, nullptr, &size, nullptr, 0, nullptr, nullptr);
  if (error == 0) error = cl.Finish(on.queue);
  if (error != 0) return failed("clEnqueueNDRangeKernel", error, why);
  error = cl.EnqueueReadBuffer(on.queue, buffers[2], 1, 0, kBytes, vectors.c, 0, nullptr, nullptr);
  for (Handle each : buffers) cl.ReleaseMemObject(each);
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
