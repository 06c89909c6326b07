/* The one place where threads are started and where kernels get working memory.
 *
 * A kernel cuts its work into blocks, by shape alone, and hands them over:
 *
 *     npdl_parallel(fn, ctx, blocks)      calls fn(ctx, block, thread) once for every block in [0, blocks)
 *
 * Blocks are given out one by one to whichever thread is free, so nothing that a block computes may depend on `thread`
 * or on which blocks came before it on that thread. Work that is too small to share should be one block.
 */
#ifndef NPDL_POOL_H
#define NPDL_POOL_H

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef _OPENMP
#include <omp.h>
#endif

typedef void (*npdl_block)(void *ctx, int64_t block, int64_t thread);

static int npdl_threads = 1;  /* set from Python at import, and by set_num_threads */
static int npdl_forked = 0;   /* this process is the child of a fork */

static inline int npdl_get_num_threads(void) { return npdl_threads; }
static inline void npdl_set_num_threads(int n) { npdl_threads = n < 1 ? 1 : n; }

static void npdl_parallel(npdl_block fn, void *ctx, int64_t blocks) {
#ifdef _OPENMP
    /* A forked child has no worker threads, yet libgomp believes that it has and would wait for them for ever: the
     * child stays on its one thread. So does a call from inside another parallel region. */
    int64_t threads = npdl_threads < blocks ? npdl_threads : blocks;
    if (threads > 1 && !npdl_forked && !omp_in_parallel()) {
        #pragma omp parallel for schedule(dynamic, 1) num_threads((int)threads)
        for (int64_t block = 0; block < blocks; block++) fn(ctx, block, omp_get_thread_num());
        return;
    }
#endif
    for (int64_t block = 0; block < blocks; block++) fn(ctx, block, 0);
}

/* Working memory, 64-byte aligned, which grows and is kept. It belongs to the operating system's thread that asks, so
 * two Python threads may run kernels at once.
 *
 *     npdl_scratch(thread, bytes)           inside a block: valid until this block returns
 *     npdl_scratch(NPDL_SHARED, bytes)      outside of blocks, by the kernel itself: all its blocks may use it, valid
 *                                           until the kernel returns
 *
 * Each is one piece: a second request of the same sort may move or overwrite the first. */
#define NPDL_SHARED (-1)

typedef struct { void *memory[2]; size_t bytes[2]; } npdl_memory;

static pthread_key_t npdl_memory_key;

static void npdl_free_memory(void *p) {
    npdl_memory *m = p;
    free(m->memory[0]);
    free(m->memory[1]);
    free(m);
}

static void npdl_no_memory(size_t bytes) {
    fprintf(stderr, "npdl: out of memory: a kernel asked for %zu bytes\n", bytes);
    abort();
}

static void *npdl_scratch(int64_t thread, size_t bytes) {
    int i = thread == NPDL_SHARED;
    npdl_memory *m = pthread_getspecific(npdl_memory_key);
    if (!m) {
        m = calloc(1, sizeof *m);
        if (!m || pthread_setspecific(npdl_memory_key, m)) npdl_no_memory(sizeof *m);
    }
    if (m->bytes[i] < bytes || !m->memory[i]) {
        free(m->memory[i]);
        m->bytes[i] = (bytes + 4096) / 4096 * 4096;
        if (posix_memalign(&m->memory[i], 64, m->bytes[i])) npdl_no_memory(bytes);
    }
    return m->memory[i];
}

static void npdl_after_fork(void) { npdl_forked = 1; }

/* Called once, when the module is imported. */
static void npdl_start_pool(void) {
    if (pthread_key_create(&npdl_memory_key, npdl_free_memory)) npdl_no_memory(0);
    pthread_atfork(NULL, NULL, npdl_after_fork);
}

#endif
