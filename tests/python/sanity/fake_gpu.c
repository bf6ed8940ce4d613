/* A stand-in for a vendor's library, for the path of the probe that no test machine has: CUDA, HIP, Level Zero.
 *
 * It is the hardware's mock: memory is the host's, and a kernel is the sum that its name promises. What a driver would object
 * to, it objects to: a kernel it was not given, arguments missing, a grid that does not cover the vectors, memory not its own.
 * Compiled as libcuda.so.1, libamdhip64.so.6 (with hiprtc) and libze_loader.so.1. SANITY_WRONG=result makes it lie,
 * SANITY_WRONG=no_device makes it what the real ones are on a machine without a GPU (seen: HIP 5.2.3, Level Zero's loader 1.8.12). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL "gpuctl_mad"
#define GIB ((size_t)1 << 30)

static char *blocks[64];
static size_t sizes[64];

static void *take(size_t size) {
    for (int i = 0; i < 64; ++i) {
        if (blocks[i] != NULL) continue;
        sizes[i] = size;
        return blocks[i] = malloc(size);
    }
    return NULL;
}

static int owns(const void *place, size_t size) {
    for (int i = 0; i < 64; ++i) {
        const char *at = place;
        if (blocks[i] != NULL && at >= blocks[i] && at + size <= blocks[i] + sizes[i]) return 1;
    }
    return 0;
}

static int give_back(void *place) {
    for (int i = 0; i < 64; ++i) {
        if (blocks[i] != place || place == NULL) continue;
        free(place);
        blocks[i] = NULL;
        return 0;
    }
    return 1;
}

/* In a container only the job's own variables are seen: ALIEN_SANITY_WRONG, ALIEN_SANITY_BUS. */
static const char *setting(const char *name) {
    const char *text = getenv(name);
    return text != NULL ? text : getenv(name + sizeof "ALIEN_" - 1);
}

static int bus(void) {
    const char *text = setting("ALIEN_SANITY_BUS");
    return text != NULL ? (int)strtol(text, NULL, 16) : 0x63;
}

static int is_alone(void) {
    const char *wrong = setting("ALIEN_SANITY_WRONG");
    return wrong != NULL && strcmp(wrong, "no_device") == 0;
}

/* c = a * k + b, in as many threads as were asked for. */
static int compute(uint32_t **a, uint32_t **b, uint32_t **c, const uint32_t *k, size_t threads) {
    if (!owns(*a, threads * 4) || !owns(*b, threads * 4) || !owns(*c, threads * 4)) return 719; /* an illegal address */
    for (size_t i = 0; i < threads; ++i) (*c)[i] = (*a)[i] * *k + (*b)[i];
    const char *wrong = setting("ALIEN_SANITY_WRONG");
    if (wrong != NULL && strcmp(wrong, "result") == 0) (*c)[threads - 1] += 1;
    return 0;
}

/* ---- CUDA ---- */

static int current;

int cuInit(unsigned flags) { return is_alone() ? 100 : flags != 0; }
int cuDriverGetVersion(int *version) { return *version = 12040, 0; }
int cuGetErrorString(int error, const char **words) { return *words = error == 2 ? "out of memory" : "unknown", 0; }
int cuDeviceGetCount(int *count) { return *count = 1, is_alone() ? 3 : 0; } /* 3: not initialised */
int cuDeviceGet(int *device, int number) { return *device = 40 + number, number != 0; }
int cuDeviceGetName(char *name, int size, int device) { return snprintf(name, (size_t)size, "Stand-in"), device != 40; }
int cuDeviceGetPCIBusId(char *text, int size, int device) {
    return snprintf(text, (size_t)size, "0000:%02X:00.0", bus()), device != 40;
}
int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
    for (int i = 0; i < 16; ++i) uuid[i] = (unsigned char)(i * 17);
    return device != 40 || setting("ALIEN_SANITY_NO_UUID") != NULL;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { return *bytes = 80 * GIB, device != 40; }
int cuDeviceGetAttribute(int *value, int which, int device) {
    return *value = which == 75 ? 8 : which == 76 ? 6 : -1, device != 40;
}
int cuCtxCreate_v2(void **context, unsigned flags, int device) {
    return *context = &current, current = 1, flags != 0 || device != 40;
}
int cuCtxSetCurrent(void *context) { return context != &current; }
int cuCtxSynchronize(void) { return !current; }
int cuMemAlloc_v2(unsigned long long *place, size_t size) {
    if (!current) return 201;
    return size > 8 * GIB ? 2 : (*place = (unsigned long long)(uintptr_t)take(size), 0);
}
int cuMemFree_v2(unsigned long long place) { return give_back((void *)(uintptr_t)place); }
int cuMemcpyHtoD_v2(unsigned long long to, const void *from, size_t size) {
    if (!owns((void *)(uintptr_t)to, size)) return 1;
    return memcpy((void *)(uintptr_t)to, from, size), 0;
}
int cuMemcpyDtoH_v2(void *to, unsigned long long from, size_t size) {
    if (!owns((void *)(uintptr_t)from, size)) return 1;
    return memcpy(to, (void *)(uintptr_t)from, size), 0;
}
int cuModuleLoadData(void **module, const void *image) {
    const int is_ptx = strncmp(image, ".version ", 9) == 0 && strstr(image, ".entry " KERNEL "(") != NULL;
    return *module = (void *)image, is_ptx ? 0 : 218;
}
int cuModuleGetFunction(void **function, void *module, const char *name) {
    return *function = module, strcmp(name, KERNEL) != 0;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **arguments, void **extra) {
    if (function == NULL || gy * gz * by * bz != 1 || shared != 0 || stream != NULL || extra != NULL) return 1;
    return compute(arguments[0], arguments[1], arguments[2], arguments[3], (size_t)gx * bx);
}

/* ---- HIP ---- */

static const char *hip_source;

int hipInit(unsigned flags) { return is_alone() ? 101 : flags != 0; }
int hipRuntimeGetVersion(int *version) { return *version = 60241134, 0; }
const char *hipGetErrorString(int error) { return error == 2 ? "out of memory" : "unknown"; }
int hipGetDeviceCount(int *count) { return *count = !is_alone(), is_alone() ? 100 : 0; }
int hipSetDevice(int device) { return device != 0; }
int hipDeviceGetName(char *name, int size, int device) { return snprintf(name, (size_t)size, "Stand-in"), device != 0; }
int hipDeviceGetPCIBusId(char *text, int size, int device) {
    return snprintf(text, (size_t)size, "0000:%02x:00.0", bus()), device != 0;
}
int hipDeviceTotalMem(size_t *bytes, int device) { return *bytes = 32 * GIB, device != 0; }
int hipMalloc(void **place, size_t size) { return size > 8 * GIB ? 2 : (*place = take(size), 0); }
int hipFree(void *place) { return give_back(place); }
int hipMemcpy(void *to, const void *from, size_t size, int way) {
    if (!owns(way == 1 ? to : from, size)) return 1;
    return memcpy(to, from, size), 0;
}
int hipDeviceSynchronize(void) { return 0; }
int hiprtcCreateProgram(void **program, const char *source, const char *name, int count, const char **a, const char **b) {
    (void)a, (void)b;
    hip_source = source;
    return *program = (void *)&hip_source, name == NULL || count != 0;
}
int hiprtcCompileProgram(void *program, int count, const char **options) {
    (void)options;
    return program != &hip_source || count != 0 || strstr(hip_source, "__global__ void " KERNEL "(") == NULL;
}
int hiprtcGetCodeSize(void *program, size_t *size) { return *size = 4, program != &hip_source; }
int hiprtcGetCode(void *program, char *code) { return memcpy(code, "CODE", 4), program != &hip_source; }
int hipModuleLoadData(void **module, const void *code) { return *module = (void *)code, memcmp(code, "CODE", 4) != 0; }
int hipModuleGetFunction(void **function, void *module, const char *name) {
    return *function = module, strcmp(name, KERNEL) != 0;
}
int hipModuleLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *stream, void **arguments, void **extra) {
    return cuLaunchKernel(function, gx, gy, gz, bx, by, bz, shared, stream, arguments, extra);
}

/* ---- Level Zero ---- */

#define INVALID 0x78000004u /* ZE_RESULT_ERROR_INVALID_ARGUMENT */

static char driver, device, context, queue, module, kernel;
static void *kernel_arguments[4];
static uint32_t group_size;

uint32_t zeInit(uint32_t flags) { return is_alone() ? 0x78000001u : flags != 0; }
uint32_t zeDriverGet(uint32_t *count, void **found) { return *count = 1, *found = &driver, is_alone() ? 0x78000001u : 0; }
uint32_t zeDriverGetApiVersion(void *which, uint32_t *version) { return *version = 1 << 16 | 5, which != &driver; }
uint32_t zeDeviceGet(void *which, uint32_t *count, void **found) { return *count = 1, *found = &device, which != &driver; }
uint32_t zeDeviceGetProperties(void *which, uint32_t *properties) {
    return strcpy((char *)properties + 112, "Stand-in"), which != &device || properties[0] != 3 ? INVALID : 0;
}
uint32_t zeDeviceGetMemoryProperties(void *which, uint32_t *count, uint32_t *properties) {
    *count = 1;
    *(uint64_t *)((char *)properties + 32) = 16 * GIB;
    return which != &device || properties[0] != 7 ? INVALID : 0;
}
uint32_t zeDevicePciGetPropertiesExt(void *which, uint32_t *properties) {
    properties[4] = 0, properties[5] = (uint32_t)bus(), properties[6] = 0, properties[7] = 0;
    return which != &device || properties[0] != 0x10008 ? INVALID : 0;
}
uint32_t zeContextCreate(void *which, const uint32_t *desc, void **made) {
    return *made = &context, which != &driver || desc[0] != 0xd ? INVALID : 0;
}
uint32_t zeCommandListCreateImmediate(void *in, void *of, const uint32_t *desc, void **made) {
    const int synchronous = desc[0] == 0xe && desc[7] == 1;
    return *made = &queue, in != &context || of != &device || !synchronous ? INVALID : 0;
}
uint32_t zeCommandListAppendMemoryCopy(void *on, void *to, const void *from, size_t size, void *event, uint32_t count,
                                       void **events) {
    if (on != &queue || event != NULL || count != 0 || events != NULL) return INVALID;
    if (!owns(to, size) && !owns(from, size)) return INVALID;
    return memcpy(to, from, size), 0;
}
uint32_t zeMemAllocDevice(void *in, const uint32_t *desc, size_t size, size_t alignment, void *of, void **place) {
    if (in != &context || of != &device || desc[0] != 0x15 || alignment != 64) return INVALID;
    return size > 8 * GIB ? 0x70000003u : (*place = take(size), 0);
}
uint32_t zeMemFree(void *in, void *place) { return in != &context || give_back(place) ? INVALID : 0; }
uint32_t zeModuleCreate(void *in, void *of, const uint32_t *desc, void **made, void **log) {
    const uint32_t *code = *(const uint32_t *const *)((const char *)desc + 32);
    const int is_spirv = desc[0] == 0x1b && desc[4] == 0 && code[0] == 0x07230203;
    return *made = &module, in != &context || of != &device || log != NULL || !is_spirv ? INVALID : 0;
}
uint32_t zeKernelCreate(void *of, const uint32_t *desc, void **made) {
    const char *name = *(const char *const *)((const char *)desc + 24);
    return *made = &kernel, of != &module || desc[0] != 0x1d || strcmp(name, KERNEL) != 0 ? INVALID : 0;
}
uint32_t zeKernelSetGroupSize(void *of, uint32_t x, uint32_t y, uint32_t z) {
    return group_size = x, of != &kernel || y * z != 1 ? INVALID : 0;
}
uint32_t zeKernelSetArgumentValue(void *of, uint32_t index, size_t size, const void *value) {
    if (of != &kernel || index > 3 || size != (index < 3 ? 8 : 4)) return INVALID;
    free(kernel_arguments[index]);
    kernel_arguments[index] = malloc(size);
    return memcpy(kernel_arguments[index], value, size), 0;
}
uint32_t zeCommandListAppendLaunchKernel(void *on, void *of, const uint32_t *groups, void *event, uint32_t count,
                                         void **events) {
    if (on != &queue || of != &kernel || event != NULL || count != 0 || events != NULL) return INVALID;
    if (kernel_arguments[3] == NULL || groups[1] * groups[2] != 1) return INVALID;
    return (uint32_t)compute(kernel_arguments[0], kernel_arguments[1], kernel_arguments[2], kernel_arguments[3],
                             (size_t)groups[0] * group_size);
}
