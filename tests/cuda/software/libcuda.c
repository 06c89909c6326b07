/* A libcuda.so.1 for machines without a GPU: CUDA's own Python layers talk to it as to NVIDIA's driver.
 *
 * Device memory is the host's, and what is freed is remembered as such. A launch, and the start of a captured graph, is
 * handed to a callback, which runs the kernel's Python source (software.py). A function that is not written out here
 * answers "success" and does nothing: cuda.core asks for far more than it needs.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int result;
typedef uint64_t address;
enum { SUCCESS = 0, OUT_OF_MEMORY = 2, LAUNCH_FAILED = 719, RUN = 0, NOTE = 1, END = 2, GRAPH = 3,
       TO = 4, FROM = 5, INSIDE = 6, FREE = 7, RECORD = 8, HOLD = 9, WAIT = 10, SYNC = 11 };
enum { MOST_PIECES = 1 << 16, TOTAL = 1 << 30 };

typedef int (*on_work)(int kind, const char *name, const unsigned *dims, void **parameters, void *stream);
static on_work work;
void software_on_work(on_work function) { work = function; }
static result ask(int kind, uint64_t a, uint64_t b, uint64_t n, void *stream) { /* for what happens in a stream's order */
    void *parameters[] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, (void *)(uintptr_t)n};
    if (!work) return SUCCESS; /* Python is about to end */
    return work(kind, "", 0, parameters, stream);
}

/* ---- memory: a table of all pieces, so that every address can be checked */

static struct { address start; size_t size; int alive; } pieces[MOST_PIECES];
static int count;
static size_t used;

int software_find(address p, address *start, size_t *size) {
    for (int i = count; i-- > 0;)
        if (pieces[i].alive && p >= pieces[i].start && p < pieces[i].start + pieces[i].size) {
            *start = pieces[i].start, *size = pieces[i].size;
            return 1;
        }
    return 0;
}
static result take(address *p, size_t size) {
    if (used + size > TOTAL || count == MOST_PIECES) return OUT_OF_MEMORY;
    size_t whole = (size + 255) / 256 * 256;
    *p = (address)(uintptr_t)aligned_alloc(256, whole);
    memset((void *)(uintptr_t)*p, 0xAB, whole); /* fresh memory holds rubbish */
    pieces[count].start = *p, pieces[count].size = size, pieces[count++].alive = 1;
    used += size;
    return SUCCESS;
}
int software_allocations(void) { return count; }
void software_free(address p) {
    for (int i = count; i-- > 0;)
        if (pieces[i].alive && pieces[i].start == p) pieces[i].alive = 0, used -= pieces[i].size;
    /* the bytes stay: a graph that still writes there is found by the table, not by a crash */
}
result cuMemAlloc_v2(address *p, size_t n) { return take(p, n); }
result cuMemAllocAsync(address *p, size_t n, void *stream) { return take(p, n); }
result cuMemAllocFromPoolAsync(address *p, size_t n, void *pool, void *stream) { return take(p, n); }
result cuMemFree_v2(address p) { return software_free(p), SUCCESS; }
result cuMemFreeAsync(address p, void *stream) { return ask(FREE, p, 0, 0, stream); }
result cuMemGetInfo_v2(size_t *left, size_t *total) { *left = TOTAL - used, *total = TOTAL; return SUCCESS; }
result cuMemcpyHtoDAsync_v2(address to, const void *from, size_t n, void *s) { return ask(TO, to, (uintptr_t)from, n, s); }
result cuMemcpyDtoHAsync_v2(void *to, address from, size_t n, void *s) { return ask(FROM, (uintptr_t)to, from, n, s); }
result cuMemcpyDtoDAsync_v2(address to, address from, size_t n, void *s) { return ask(INSIDE, to, from, n, s); }

/* ---- page-locked memory of the host: copies from there happen when it is their turn, those from elsewhere are noted */

static struct { const char *start; size_t size; } pages[1 << 12];
static int locked;
result cuMemHostAlloc(void **p, size_t size, unsigned flags) {
    if (locked == 1 << 12) return OUT_OF_MEMORY;
    *p = malloc(size);
    pages[locked].start = *p, pages[locked++].size = size;
    return SUCCESS;
}
result cuMemFreeHost(void *p) {
    for (int i = 0; i < locked; i++)
        if (pages[i].start == p) pages[i] = pages[--locked];
    return free(p), SUCCESS;
}
int software_is_locked(const char *p) {
    for (int i = 0; i < locked; i++)
        if (p >= pages[i].start && p < pages[i].start + pages[i].size) return 1;
    return 0;
}

/* ---- the order of streams */

result cuEventRecord(void *event, void *stream) { return ask(RECORD, (uintptr_t)event, 0, 0, stream); }
result cuStreamWaitEvent(void *stream, void *event, unsigned f) { return ask(HOLD, (uintptr_t)event, 0, 0, stream); }
result cuEventSynchronize(void *event) { return ask(WAIT, (uintptr_t)event, 0, 0, 0); }
result cuStreamSynchronize(void *stream) { return ask(SYNC, 0, 0, 0, stream); }

/* ---- one device, called an H100 */

result cuDriverGetVersion(int *v) { *v = 13000; return SUCCESS; }
result cuDeviceGetCount(int *n) { *n = 1; return SUCCESS; }
result cuDeviceGet(int *d, int number) { *d = number; return SUCCESS; }
result cuDeviceGetName(char *name, int n, int d) { snprintf(name, n, "software GPU"); return SUCCESS; }
result cuDeviceGetUuid_v2(void *id, int d) { memset(id, 7, 16); return SUCCESS; }
result cuDeviceTotalMem_v2(size_t *n, int d) { *n = TOTAL; return SUCCESS; }
result cuDeviceGetAttribute(int *v, int attribute, int d) {
    *v = attribute == 75 ? 9 : attribute == 76 ? 0 : attribute == 16 ? 132 : attribute == 115 ? 1 : 1024; /* 9.0, 132 SMs */
    return SUCCESS;
}

/* ---- handles: any number that is not null */

static void *handle(void) {
    static uintptr_t last = 0x1000;
    return (void *)(last += 16);
}
#define GIVES_HANDLE(name, ...) \
    result name(void **out, ##__VA_ARGS__) { \
        *out = handle(); \
        return SUCCESS; \
    }
GIVES_HANDLE(cuStreamCreate, unsigned f)
GIVES_HANDLE(cuStreamCreateWithPriority, unsigned f, int p)
GIVES_HANDLE(cuEventCreate, unsigned f)
result cuEventElapsedTime(float *ms, void *start, void *end) { *ms = 1; return SUCCESS; } /* whatever lay between */
GIVES_HANDLE(cuLibraryLoadData, const void *c, void *a, void *b, unsigned n, void *d, void *e, unsigned m)
GIVES_HANDLE(cuLibraryGetModule, void *l)
GIVES_HANDLE(cuKernelGetLibrary, void *k)
GIVES_HANDLE(cuDeviceGetDefaultMemPool, int d)
GIVES_HANDLE(cuDeviceGetMemPool, int d)
GIVES_HANDLE(cuMemGetDefaultMemPool, void *l, int t)
GIVES_HANDLE(cuMemGetMemPool, void *l, int t)
GIVES_HANDLE(cuMemPoolCreate, void *p)
GIVES_HANDLE(cuGraphCreate, unsigned f)
static result context(void **c) { *c = (void *)0x1000; return SUCCESS; }
result cuDevicePrimaryCtxRetain(void **c, int d) { return context(c); }
result cuCtxGetCurrent(void **c) { return context(c); }
result cuCtxPopCurrent_v2(void **c) { return context(c); }
result cuCtxGetDevice(int *d) { *d = 0; return SUCCESS; }
result cuCtxGetDevice_v2(int *d, void *c) { *d = 0; return SUCCESS; }
result cuStreamGetCtx(void *s, void **c) { return context(c); }
result cuStreamGetCtx_v2(void *s, void **c, void **g) { if (g) *g = 0; return context(c); }
result cuStreamGetDevice(void *s, int *d) { *d = 0; return SUCCESS; }
result cuDevicePrimaryCtxGetState(int d, unsigned *f, int *active) { *f = 0, *active = 1; return SUCCESS; }
result cuGetErrorName(int e, const char **s) {
    *s = e == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : e == LAUNCH_FAILED ? "CUDA_ERROR_LAUNCH_FAILED" : "CUDA_ERROR";
    return SUCCESS;
}
result cuGetErrorString(int e, const char **s) { return cuGetErrorName(e, s); }

/* ---- kernels and graphs: a kernel's handle is its name, an executable graph's is its number */

enum { GRAPHS = 0x900000 };
static int graphs;
static void *captured; /* the stream of which a graph is being made, else null */
typedef struct { unsigned dims[6], shared; void *stream; } launch_config; /* CUlaunchConfig begins so */
result cuLibraryGetKernel(void **k, void *library, const char *name) { *k = strdup(name); return SUCCESS; }
result cuKernelGetFunction(void **f, void *k) { *f = k; return SUCCESS; }
result cuKernelGetAttribute(int *v, int a, void *k, int d) { *v = 1024; return SUCCESS; }
result cuFuncGetAttribute(int *v, int a, void *f) { *v = 1024; return SUCCESS; }
result cuKernelGetParamInfo(void *k, size_t i, size_t *offset, size_t *size) { return 1; } /* no such parameter */
int software_is_captured(void *stream) { return stream && stream == captured; }
static result start(void *stream, void *kernel, const unsigned *dims, void **parameters) {
    return work(software_is_captured(stream) ? NOTE : RUN, kernel, dims, parameters, stream);
}
result cuLaunchKernelEx(const launch_config *config, void *kernel, void **parameters, void **extra) {
    return start(config->stream, kernel, config->dims, parameters);
}
result cuLaunchKernel(void *kernel, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f, unsigned shared,
                      void *stream, void **parameters, void **extra) {
    const unsigned dims[] = {a, b, c, d, e, f};
    return start(stream, kernel, dims, parameters);
}
static result begin(void *stream) { captured = stream; return SUCCESS; }
result cuStreamBeginCapture_v2(void *s, int mode) { return begin(s); }
result cuStreamBeginCaptureToGraph(void *s, void *g, void *d, void *e, size_t n, int mode) { return begin(s); }
result cuStreamEndCapture(void *s, void **graph) {
    captured = 0, *graph = (void *)0x2000;
    return work(END, "", 0, 0, s);
}
result cuStreamIsCapturing(void *s, int *status) { *status = software_is_captured(s); return SUCCESS; }
result cuStreamGetCaptureInfo_v3(void *s, int *status, uint64_t *id, void **g, void **d, void **e, size_t *n) {
    *status = software_is_captured(s);
    if (id) *id = 1;
    if (g) *g = (void *)0x2000;
    if (d) *d = 0;
    if (e) *e = 0;
    if (n) *n = 0;
    return SUCCESS;
}
result cuStreamGetCaptureInfo_v2(void *s, int *status, uint64_t *id, void **g, void *d, size_t *n) {
    return cuStreamGetCaptureInfo_v3(s, status, id, g, d, 0, n);
}
result cuGraphInstantiateWithParams(void **executable, void *graph, void *parameters) {
    *executable = (void *)(uintptr_t)(GRAPHS + 16 * graphs++); /* of the capture that ended last */
    return SUCCESS;
}
result cuGraphLaunch(void *graph, void *stream) {
    const unsigned number = ((uintptr_t)graph - GRAPHS) / 16;
    return work(GRAPH, "", &number, 0, stream);
}

/* ---- how the layers above find all this: the newest version of a name that is here, else "success" */

static result nothing(void) { return SUCCESS; }
static void *found(const char *name) {
    static void *self;
    if (!self) {
        Dl_info me;
        dladdr((void *)found, &me);
        self = dlopen(me.dli_fname, RTLD_NOW | RTLD_NOLOAD);
    }
    static const char *const endings[] = {"_v3", "_v2", ""};
    for (int i = 0; i < 3; i++) {
        char whole[160];
        snprintf(whole, sizeof whole, "%s%s", name, endings[i]);
        void *function = dlsym(self, whole);
        if (function) return function;
    }
    return (void *)nothing;
}
result cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status) {
    if (status) *status = 0;
    *function = strcmp(name, "cuGetProcAddress") ? found(name) : (void *)cuGetProcAddress_v2;
    return SUCCESS;
}
result cuGetProcAddress(const char *name, void **function, int version, uint64_t flags) {
    return cuGetProcAddress_v2(name, function, version, flags, 0);
}
