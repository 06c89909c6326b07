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
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, ILLEGAL_ADDRESS = 700,
       LAUNCH_FAILED = 719, CAPTURE_UNSUPPORTED = 900 };
enum { RUN = 0, NOTE = 1, END = 2, GRAPH = 3, TO = 4, FROM = 5, INSIDE = 6, FREE = 7, RECORD = 8, HOLD = 9, WAIT = 10,
       SYNC = 11 };
enum { MOST_PIECES = 1 << 16, TOTAL = 1 << 30, GPUS = 2, CONTEXTS = 0x1000 };
enum { RELAXED = 2 }; /* the mode of a capture in which everything else is still allowed */

typedef int (*on_work)(int kind, const char *name, const unsigned *dims, void **parameters, void *stream);
static on_work work;
void software_on_work(on_work function) { work = function; }
static result broken; /* the error of a kernel: from then on that of every call */
static result done(result error) {
    if (error == ILLEGAL_ADDRESS || error == LAUNCH_FAILED) broken = error;
    return error;
}

/* ---- which GPU a thread means: none, until it says so */

static __thread void *current;
#define NEEDS_CONTEXT \
    if (broken) return broken; \
    if (!current) return INVALID_CONTEXT;

/* ---- what happens in a stream's order */

static result ask(int kind, uint64_t a, uint64_t b, uint64_t n, void *stream) {
    void *parameters[] = {(void *)(uintptr_t)a, (void *)(uintptr_t)b, (void *)(uintptr_t)n};
    if (!work) return SUCCESS; /* Python is about to end */
    NEEDS_CONTEXT
    return done(work(kind, "", 0, parameters, stream));
}

/* ---- memory: a table of all pieces, so that every address can be checked; a pool keeps what is given back */

static struct { address start; size_t size; int alive; } pieces[MOST_PIECES];
static int count;
static size_t used, held;
static void *captured; /* the stream of which a graph is being made, else null */
static int mode;       /* of that */
#define NEEDS_NO_CAPTURE \
    if (captured && mode != RELAXED) return CAPTURE_UNSUPPORTED;

int software_find(address p, address *start, size_t *size) {
    for (int i = count; i-- > 0;)
        if (pieces[i].alive && p >= pieces[i].start && p < pieces[i].start + pieces[i].size) {
            *start = pieces[i].start, *size = pieces[i].size;
            return 1;
        }
    return 0;
}
static result take(address *p, size_t size) {
    NEEDS_CONTEXT
    if (!size) return INVALID_VALUE;
    if (used + size > TOTAL || count == MOST_PIECES) return OUT_OF_MEMORY;
    size_t whole = (size + 255) / 256 * 256;
    *p = (address)(uintptr_t)aligned_alloc(256, whole);
    memset((void *)(uintptr_t)*p, 0xAB, whole); /* fresh memory holds rubbish */
    pieces[count].start = *p, pieces[count].size = size, pieces[count++].alive = 1;
    used += size;
    if (held < used) held = used;
    return SUCCESS;
}
int software_allocations(void) { return count; }
int software_free(address p) { /* whether it was there */
    for (int i = count; i-- > 0;)
        if (pieces[i].alive && pieces[i].start == p) return pieces[i].alive = 0, used -= pieces[i].size, 1;
    /* the bytes stay: a graph that still writes there is found by the table, not by a crash */
    return 0;
}
result cuMemAlloc_v2(address *p, size_t n) { NEEDS_NO_CAPTURE return take(p, n); }
result cuMemAllocAsync(address *p, size_t n, void *s) { return s == captured && s ? CAPTURE_UNSUPPORTED : take(p, n); }
result cuMemAllocFromPoolAsync(address *p, size_t n, void *pool, void *s) { return cuMemAllocAsync(p, n, s); }
result cuMemFree_v2(address p) { return software_free(p) ? SUCCESS : INVALID_VALUE; }
result cuMemFreeAsync(address p, void *stream) { return ask(FREE, p, 0, 0, stream); }
result cuMemGetInfo_v2(size_t *left, size_t *total) { NEEDS_CONTEXT *left = TOTAL - held, *total = TOTAL; return SUCCESS; }
static uint64_t kept; /* RELEASE_THRESHOLD */
result cuMemPoolSetAttribute(void *pool, int attribute, uint64_t *value) {
    return attribute == 4 ? (kept = *value, SUCCESS) : INVALID_VALUE;
}
result cuMemPoolGetAttribute(void *pool, int attribute, uint64_t *value) { /* RESERVED_MEM_CURRENT, USED_MEM_CURRENT */
    return *value = attribute == 4 ? kept : attribute == 5 ? held : attribute == 7 ? used : 0, SUCCESS;
}
static result copy(int kind, uint64_t to, uint64_t from, size_t n, void *s) {
    NEEDS_CONTEXT
    return s == captured && s ? CAPTURE_UNSUPPORTED : ask(kind, to, from, n, s); /* no step may copy in a graph */
}
result cuMemcpyHtoDAsync_v2(address to, const void *from, size_t n, void *s) { return copy(TO, to, (uintptr_t)from, n, s); }
result cuMemcpyDtoHAsync_v2(void *to, address from, size_t n, void *s) { return copy(FROM, (uintptr_t)to, from, n, s); }
result cuMemcpyDtoDAsync_v2(address to, address from, size_t n, void *s) { return copy(INSIDE, to, from, n, s); }

/* ---- page-locked memory of the host */

static struct { const char *start; size_t size; } pages[1 << 12];
static int locked;
result cuMemHostAlloc(void **p, size_t size, unsigned flags) {
    NEEDS_CONTEXT
    NEEDS_NO_CAPTURE
    if (!size) return INVALID_VALUE;
    if (locked == 1 << 12 || !(*p = malloc(size))) return OUT_OF_MEMORY;
    pages[locked].start = *p, pages[locked++].size = size;
    return SUCCESS;
}
result cuMemFreeHost(void *p) {
    NEEDS_CONTEXT
    NEEDS_NO_CAPTURE
    for (int i = 0; i < locked; i++)
        if (pages[i].start == p) return pages[i] = pages[--locked], free(p), SUCCESS;
    return INVALID_VALUE;
}

/* ---- the order of streams */

result cuEventRecord(void *event, void *stream) { return ask(RECORD, (uintptr_t)event, 0, 0, stream); }
result cuStreamWaitEvent(void *stream, void *event, unsigned f) { return ask(HOLD, (uintptr_t)event, 0, 0, stream); }
result cuEventSynchronize(void *event) { return ask(WAIT, (uintptr_t)event, 0, 0, 0); }
result cuStreamSynchronize(void *s) {
    result error = s == captured && s ? CAPTURE_UNSUPPORTED : ask(SYNC, 0, 0, 0, s);
    if (used > kept) held = used;
    else if (held > kept) held = kept; /* the pool gives back what it may not keep */
    return error;
}

/* ---- two devices with one memory, of the capability of an H100 */

result cuDriverGetVersion(int *v) { *v = 13000; return SUCCESS; }
result cuDeviceGetCount(int *n) { *n = GPUS; return SUCCESS; }
result cuDeviceGet(int *d, int number) { *d = number; return SUCCESS; }
result cuDeviceGetName(char *name, int n, int d) { snprintf(name, n, "software GPU"); return SUCCESS; }
result cuDeviceGetUuid_v2(void *id, int d) { memset(id, 7 + d, 16); return SUCCESS; }
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
static void *owners[1 << 16]; /* the context of each stream, by a part of its handle */
static void **owner(void *stream) { return &owners[((uintptr_t)stream / 16) % (1 << 16)]; }
result cuStreamCreateWithPriority(void **out, unsigned f, int p) {
    NEEDS_CONTEXT
    *out = handle();
    return *owner(*out) = current, SUCCESS;
}
result cuStreamCreate(void **out, unsigned f) { return cuStreamCreateWithPriority(out, f, 0); }
result cuEventCreate(void **out, unsigned f) { NEEDS_CONTEXT *out = handle(); return SUCCESS; }
result cuEventElapsedTime(float *ms, void *start, void *end) { *ms = 1; return SUCCESS; } /* whatever lay between */
result cuLibraryLoadData(void **out, const void *c, void *a, void *b, unsigned n, void *d, void *e, unsigned m) {
    NEEDS_CONTEXT
    *out = handle();
    return SUCCESS;
}
GIVES_HANDLE(cuLibraryGetModule, void *l)
GIVES_HANDLE(cuKernelGetLibrary, void *k)
GIVES_HANDLE(cuDeviceGetDefaultMemPool, int d)
GIVES_HANDLE(cuDeviceGetMemPool, int d)
GIVES_HANDLE(cuMemGetDefaultMemPool, void *l, int t)
GIVES_HANDLE(cuMemGetMemPool, void *l, int t)
GIVES_HANDLE(cuMemPoolCreate, void *p)
GIVES_HANDLE(cuGraphCreate, unsigned f)
static void *context(int d) { return (void *)(uintptr_t)(CONTEXTS + 16 * d); }
static int device(void *c) { return ((uintptr_t)c - CONTEXTS) / 16; }
result cuDevicePrimaryCtxRetain(void **c, int d) { *c = context(d); return SUCCESS; }
result cuCtxGetCurrent(void **c) { *c = current; return SUCCESS; }
result cuCtxSetCurrent(void *c) { current = c; return SUCCESS; }
result cuCtxPushCurrent_v2(void *c) { current = c; return SUCCESS; } /* nobody pushes two */
result cuCtxPopCurrent_v2(void **c) { *c = current, current = 0; return SUCCESS; }
result cuCtxGetDevice(int *d) { NEEDS_CONTEXT *d = device(current); return SUCCESS; }
result cuCtxGetDevice_v2(int *d, void *c) { *d = device(c ? c : current); return SUCCESS; }
result cuStreamGetCtx(void *s, void **c) { *c = *owner(s); return SUCCESS; }
result cuStreamGetCtx_v2(void *s, void **c, void **g) { if (g) *g = 0; return cuStreamGetCtx(s, c); }
result cuStreamGetDevice(void *s, int *d) { *d = device(*owner(s)); return SUCCESS; }
result cuDevicePrimaryCtxGetState(int d, unsigned *f, int *active) { *f = 0, *active = 1; return SUCCESS; }
result cuGetErrorName(int e, const char **s) {
    *s = e == OUT_OF_MEMORY     ? "CUDA_ERROR_OUT_OF_MEMORY"
         : e == LAUNCH_FAILED   ? "CUDA_ERROR_LAUNCH_FAILED"
         : e == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                : "CUDA_ERROR";
    return SUCCESS;
}
result cuGetErrorString(int e, const char **s) { return cuGetErrorName(e, s); }

/* ---- kernels and graphs: a kernel's handle is its name, an executable graph's is its number */

enum { GRAPHS = 0x900000 };
static int graphs;
typedef struct { unsigned dims[6], shared; void *stream; } launch_config; /* CUlaunchConfig begins so */
result cuLibraryGetKernel(void **k, void *library, const char *name) { *k = strdup(name); return SUCCESS; }
result cuKernelGetFunction(void **f, void *k) { *f = k; return SUCCESS; }
result cuKernelGetAttribute(int *v, int a, void *k, int d) { *v = 1024; return SUCCESS; }
result cuFuncGetAttribute(int *v, int a, void *f) { *v = 1024; return SUCCESS; }
result cuKernelGetParamInfo(void *k, size_t i, size_t *offset, size_t *size) { return 1; } /* no such parameter */
int software_is_captured(void *stream) { return stream && stream == captured; }
static result start(void *stream, void *kernel, const unsigned *dims, void **parameters) {
    NEEDS_CONTEXT
    static const unsigned most[] = {2147483647, 65535, 65535, 1024, 1024, 64};
    for (int i = 0; i < 6; i++)
        if (!dims[i] || dims[i] > most[i]) return INVALID_VALUE;
    if ((uint64_t)dims[3] * dims[4] * dims[5] > 1024) return INVALID_VALUE;
    if (*owner(stream) != current) return INVALID_HANDLE; /* the stream of another GPU */
    return done(work(software_is_captured(stream) ? NOTE : RUN, kernel, dims, parameters, stream));
}
result cuLaunchKernelEx(const launch_config *config, void *kernel, void **parameters, void **extra) {
    return start(config->stream, kernel, config->dims, parameters);
}
result cuLaunchKernel(void *kernel, unsigned a, unsigned b, unsigned c, unsigned d, unsigned e, unsigned f, unsigned shared,
                      void *stream, void **parameters, void **extra) {
    const unsigned dims[] = {a, b, c, d, e, f};
    return start(stream, kernel, dims, parameters);
}
static result begin(void *stream, int how) { captured = stream, mode = how; return SUCCESS; }
result cuStreamBeginCapture_v2(void *s, int how) { return begin(s, how); }
result cuStreamBeginCaptureToGraph(void *s, void *g, void *d, void *e, size_t n, int how) { return begin(s, how); }
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
    NEEDS_CONTEXT
    const unsigned number = ((uintptr_t)graph - GRAPHS) / 16;
    return done(work(GRAPH, "", &number, 0, stream));
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
