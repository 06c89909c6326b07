/* The one place where threads are started and where kernels get working memory.
 *
 * A kernel cuts its work into blocks, by shape alone, and hands them over:
 *
 *     npdl_parallel(fn, ctx, blocks, bytes)    calls fn(ctx, block, work) once for every block in [0, blocks)
 *
 * `work` is `bytes` of memory that this block has for itself until it returns, uninitialised. Blocks are given out one
 * by one to whichever thread is free, so nothing that a block computes may depend on what ran before it on its thread.
 * Work that is too small to share should be one block.
 *
 *     npdl_shared(bytes)                       memory for all blocks of a kernel, valid until the kernel returns
 *
 * is one piece: a second request may move or overwrite the first. Where there is no memory npdl_parallel runs nothing,
 * npdl_shared gives NULL, the kernel returns, and the Python function that called it raises MemoryError. A block calls
 * neither of the two: the memory it would get is the one it has.
 *
 * How it works. The calling thread takes blocks like any other. It opens a job, wakes who sleeps, and takes blocks until
 * none are left; then it closes the job and waits for those workers only that are still inside a block. A worker that
 * comes late, because another process has its core, finds the job closed and is not waited for. Each thread has a share
 * of the blocks, those that follow each other, and takes from the others' when its own is done: so in one kernel after
 * the other it finds the same images, or the same rows of a matrix, in its own cache. An idle worker watches
 * for the next job for NPDL_SPIN nanoseconds, since the kernels of a training step follow each other closely, and then
 * sleeps, so that it takes nothing from others. Jobs of several Python threads do not queue: whoever finds the workers
 * taken runs its blocks alone. The child of a fork starts workers of its own.
 */
#ifndef NPDL_POOL_H
#define NPDL_POOL_H

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NPDL_SPIN 50000
#define NPDL_MAX_WORKERS 1023
#define NPDL_STACK ((size_t)1 << 21) /* of a worker: some systems give 128 KB, and kernels keep whole pieces on it */

typedef void (*npdl_block)(void *ctx, int64_t block, void *work);

#ifdef NPDL_PART /* one of a module's parts has the threads and the memory */
#define NPDL_POOL __attribute__((visibility("hidden")))
#else
#define NPDL_POOL static
#endif

NPDL_POOL void npdl_parallel(npdl_block fn, void *ctx, int64_t blocks, size_t bytes);
NPDL_POOL void *npdl_shared(size_t bytes);
NPDL_POOL size_t npdl_take_missing(void); /* bytes that were asked for in vain since the last call of this, 0 if none */
NPDL_POOL int npdl_get_num_threads(void);
NPDL_POOL void npdl_set_num_threads(int n);
NPDL_POOL int npdl_start_pool(void); /* called once, when the module is imported; not 0 if it failed */

#if !defined NPDL_PART || NPDL_PART == 32

/* ---- memory: 64-byte aligned, it grows and is kept */

typedef struct { void *start; size_t bytes; } npdl_memory;

static __thread size_t npdl_missing = 0; /* bytes that this thread asked for in vain */

#ifdef NPDL_EXACT_MEMORY /* for AddressSanitizer: not a byte more than was asked for */
#define NPDL_ENOUGH(has, wants) ((has) == (wants))
#define NPDL_ROUNDED(bytes) (bytes)
#else
#define NPDL_ENOUGH(has, wants) ((has) >= (wants))
#define NPDL_ROUNDED(bytes) (((bytes) + 4095) / 4096 * 4096)
#endif

/* Whether there are that many bytes. */
static int npdl_grow(npdl_memory *m, size_t bytes) {
    if (NPDL_ENOUGH(m->bytes, bytes)) return 1;
    free(m->start);
    m->bytes = NPDL_ROUNDED(bytes);
    if (posix_memalign(&m->start, 64, m->bytes)) m->start = NULL, m->bytes = 0;
    return m->bytes >= bytes;
}

/* What a thread that calls kernels owns; freed when it ends. */
typedef struct { npdl_memory shared, work; } npdl_caller;

static pthread_key_t npdl_caller_key;

static void npdl_free_caller(void *p) {
    npdl_caller *caller = p;
    free(caller->shared.start);
    free(caller->work.start);
    free(caller);
}

static npdl_caller *npdl_this_caller(void) {
    npdl_caller *caller = pthread_getspecific(npdl_caller_key);
    if (!caller && (caller = calloc(1, sizeof *caller)) && pthread_setspecific(npdl_caller_key, caller)) {
        free(caller);
        caller = NULL;
    }
    return caller;
}

NPDL_POOL void *npdl_shared(size_t bytes) {
    npdl_caller *caller = npdl_this_caller();
    if (!bytes) bytes = 1; /* of nothing, too, there is an address */
    if (caller && npdl_grow(&caller->shared, bytes)) return caller->shared.start;
    npdl_missing = bytes;
    return NULL;
}

NPDL_POOL size_t npdl_take_missing(void) {
    size_t bytes = npdl_missing;
    npdl_missing = 0;
    return bytes;
}

/* ---- workers */

#define NPDL_LOAD(p) __atomic_load_n(&(p), __ATOMIC_SEQ_CST)
#define NPDL_STORE(p, value) __atomic_store_n(&(p), value, __ATOMIC_SEQ_CST)
#define NPDL_ADD(p, value) __atomic_fetch_add(&(p), value, __ATOMIC_SEQ_CST)
#define NPDL_OWN_LINE __attribute__((aligned(128))) /* what one thread writes does not evict what others read */

typedef struct { int64_t next, stop; } NPDL_OWN_LINE npdl_share; /* the next block to be taken, and the last one's end */

static struct {
    /* the job; written while it is closed and nobody is inside */
    npdl_block fn;
    void *ctx;
    int wanted;                       /* workers 0 ... wanted - 1 take part */
    /* its state */
    npdl_share share[NPDL_MAX_WORKERS + 1]; /* the caller's, then the workers' */
    int open NPDL_OWN_LINE;           /* whether workers may enter */
    uint64_t job;                     /* its number: a change is what workers wait for */
    int inside NPDL_OWN_LINE;         /* workers that have entered */
    int sleeping NPDL_OWN_LINE;
    pthread_mutex_t taken;            /* held by the thread whose job it is */
    pthread_mutex_t sleep;
    pthread_cond_t wake;
    pthread_cond_t rest;              /* of workers that are more than the user wants now */
    int threads;                      /* how many the user wants; set from Python at import, and by set_num_threads */
    int workers;                      /* how many there are */
    npdl_memory memory[NPDL_MAX_WORKERS];
} npdl_pool = {
    .taken = PTHREAD_MUTEX_INITIALIZER, .sleep = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER,
    .rest = PTHREAD_COND_INITIALIZER, .threads = 1,
};

NPDL_POOL int npdl_get_num_threads(void) { return NPDL_LOAD(npdl_pool.threads); }
NPDL_POOL void npdl_set_num_threads(int n) {
    NPDL_STORE(npdl_pool.threads, n < 1 ? 1 : n);
    pthread_mutex_lock(&npdl_pool.sleep);
    pthread_cond_broadcast(&npdl_pool.rest);
    pthread_mutex_unlock(&npdl_pool.sleep);
}

static inline void npdl_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

static inline int64_t npdl_nanoseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Worker `self` waits until there is another job than `seen`; its number. */
static uint64_t npdl_next_job(int self, uint64_t seen) {
    uint64_t job;
    if (self >= npdl_get_num_threads() - 1) {
        pthread_mutex_lock(&npdl_pool.sleep);
        while (self >= npdl_get_num_threads() - 1) pthread_cond_wait(&npdl_pool.rest, &npdl_pool.sleep);
        pthread_mutex_unlock(&npdl_pool.sleep);
    }
    int64_t start = npdl_nanoseconds();
    do {
        for (int i = 0; i < 16; i++) {
            if ((job = NPDL_LOAD(npdl_pool.job)) != seen) return job;
            npdl_pause();
        }
    } while (npdl_nanoseconds() - start < NPDL_SPIN);
    pthread_mutex_lock(&npdl_pool.sleep);
    NPDL_ADD(npdl_pool.sleeping, 1); /* before looking again: who opens a job counts the sleepers after it */
    while ((job = NPDL_LOAD(npdl_pool.job)) == seen) pthread_cond_wait(&npdl_pool.wake, &npdl_pool.sleep);
    NPDL_ADD(npdl_pool.sleeping, -1);
    pthread_mutex_unlock(&npdl_pool.sleep);
    return job;
}

/* The blocks of thread `self`'s share, then what is left of the others'. */
static void npdl_take_blocks(int self, npdl_block fn, void *ctx, void *work) {
    for (int i = 0; i <= npdl_pool.wanted; i++) {
        npdl_share *share = &npdl_pool.share[(self + i) % (npdl_pool.wanted + 1)];
        while (NPDL_LOAD(share->next) < share->stop) { /* looked at first: a share that is done stays as it is */
            int64_t block = NPDL_ADD(share->next, 1);
            if (block < share->stop) fn(ctx, block, work);
        }
    }
}

static void *npdl_worker(void *number) {
    int self = (int)(intptr_t)number;
    for (uint64_t job = 0;;) {
        job = npdl_next_job(self, job);
        NPDL_ADD(npdl_pool.inside, 1); /* before looking whether it is open: who closes a job counts those inside after */
        if (NPDL_LOAD(npdl_pool.open) && self < npdl_pool.wanted)
            npdl_take_blocks(self + 1, npdl_pool.fn, npdl_pool.ctx, npdl_pool.memory[self].start);
        NPDL_ADD(npdl_pool.inside, -1);
    }
    return NULL;
}

/* Sees to it that there are `wanted` workers with `bytes` of memory each; how many there are. */
static int npdl_hire(int wanted, size_t bytes) {
    if (npdl_pool.workers < wanted) {
        sigset_t all, before;
        pthread_attr_t attributes;
        pthread_t thread;
        /* Signals belong to Python's main thread, but for those that a worker's own instruction raises. */
        sigfillset(&all);
        sigdelset(&all, SIGSEGV), sigdelset(&all, SIGBUS), sigdelset(&all, SIGILL), sigdelset(&all, SIGFPE);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_attr_init(&attributes);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_attr_setstacksize(&attributes, NPDL_STACK);
        while (npdl_pool.workers < wanted && npdl_pool.workers < NPDL_MAX_WORKERS &&
               !pthread_create(&thread, &attributes, npdl_worker, (void *)(intptr_t)npdl_pool.workers))
            npdl_pool.workers++;
        pthread_attr_destroy(&attributes);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    int ready = 0;
    while (ready < wanted && ready < npdl_pool.workers && npdl_grow(&npdl_pool.memory[ready], bytes)) ready++;
    return ready;
}

NPDL_POOL void npdl_parallel(npdl_block fn, void *ctx, int64_t blocks, size_t bytes) {
    void *work = NULL;
    if (bytes) {
        npdl_caller *caller = npdl_this_caller();
        if (!caller || !npdl_grow(&caller->work, bytes)) {
            npdl_missing = bytes;
            return;
        }
        work = caller->work.start;
    }
    int64_t wanted = npdl_get_num_threads() - 1;
    if (wanted > blocks - 1) wanted = blocks - 1;
    if (wanted > 0 && !pthread_mutex_trylock(&npdl_pool.taken)) {
        npdl_pool.wanted = npdl_hire((int)wanted, bytes);
        npdl_pool.fn = fn, npdl_pool.ctx = ctx;
        int64_t shares = npdl_pool.wanted + 1;
        for (int64_t i = 0; i < shares; i++)
            npdl_pool.share[i].next = blocks * i / shares, npdl_pool.share[i].stop = blocks * (i + 1) / shares;
        NPDL_STORE(npdl_pool.open, 1);
        NPDL_ADD(npdl_pool.job, 1);
        if (NPDL_LOAD(npdl_pool.sleeping)) {
            pthread_mutex_lock(&npdl_pool.sleep);
            pthread_cond_broadcast(&npdl_pool.wake);
            pthread_mutex_unlock(&npdl_pool.sleep);
        }
        npdl_take_blocks(0, fn, ctx, work);
        NPDL_STORE(npdl_pool.open, 0);
        for (int i = 0; NPDL_LOAD(npdl_pool.inside); i++)
            if (i < 1000) npdl_pause();
            else sched_yield(); /* a worker has lost its core in mid-block */
        pthread_mutex_unlock(&npdl_pool.taken);
        return;
    }
    for (int64_t block = 0; block < blocks; block++) fn(ctx, block, work);
}

/* A forked child has none of the threads, and finds locks, and the memory of workers, as another thread left them that
 * may have been about to change them. That memory is not freed: its addresses may be wrong. */
static void npdl_after_fork(void) {
    memset(npdl_pool.memory, 0, sizeof npdl_pool.memory);
    pthread_mutex_init(&npdl_pool.taken, NULL);
    pthread_mutex_init(&npdl_pool.sleep, NULL);
    pthread_cond_init(&npdl_pool.wake, NULL);
    pthread_cond_init(&npdl_pool.rest, NULL);
    npdl_pool.workers = npdl_pool.open = npdl_pool.inside = npdl_pool.sleeping = 0;
}

NPDL_POOL int npdl_start_pool(void) {
    return pthread_key_create(&npdl_caller_key, npdl_free_caller) || pthread_atfork(NULL, NULL, npdl_after_fork);
}

#endif

#endif
