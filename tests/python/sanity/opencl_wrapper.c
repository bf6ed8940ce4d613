/* An OpenCL that lies: the real one, but for what SANITY_WRONG says. Everything else goes through to it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef REAL
#error REAL is the path of the real libOpenCL.so.1
#endif

static int wrong(const char *what) {
    const char *chosen = getenv("SANITY_WRONG");
    return chosen != NULL && strcmp(chosen, what) == 0;
}

static void *real(const char *name) {
    static void *library;
    if (library == NULL) library = dlopen(REAL, RTLD_NOW);
    if (library == NULL) abort();
    return dlsym(library, name);
}

int clGetDeviceInfo(void *device, unsigned what, size_t size, void *value, size_t *needed) {
    int (*call)(void *, unsigned, size_t, void *, size_t *) = real("clGetDeviceInfo");
    const char *bus = getenv("SANITY_BUS");
    if (what == 0x410F && bus != NULL && size == 16) { /* CL_DEVICE_PCI_BUS_INFO_KHR */
        unsigned address[4] = {0, (unsigned)strtoul(bus, NULL, 16), 0, 0};
        memcpy(value, address, size);
        return 0;
    }
    return call(device, what, size, value, needed);
}

void *clCreateBuffer(void *context, unsigned long flags, size_t size, void *host, int *error) {
    void *(*call)(void *, unsigned long, size_t, void *, int *) = real("clCreateBuffer");
    if (wrong("no_memory") && size > 1 << 20) {
        *error = -4; /* CL_MEM_OBJECT_ALLOCATION_FAILURE */
        return NULL;
    }
    return call(context, flags, size, host, error);
}

int clEnqueueReadBuffer(void *queue, void *buffer, unsigned wait, size_t offset, size_t size, void *to, unsigned count,
                        const void *events, void *event) {
    int (*call)(void *, void *, unsigned, size_t, size_t, void *, unsigned, const void *, void *) = real("clEnqueueReadBuffer");
    int result = call(queue, buffer, wait, offset, size, to, count, events, event);
    if (wrong("result") && size == 4 << 20) ((unsigned *)to)[77777] ^= 1U << 13; /* the answer's size */
    if (wrong("memory") && size != 4 << 20) ((unsigned char *)to)[size / 2] ^= 4;
    return result;
}

int clFinish(void *queue) {
    int (*call)(void *) = real("clFinish");
    if (wrong("hang"))
        for (;;) pause();
    if (wrong("crash")) abort();
    return call(queue);
}
