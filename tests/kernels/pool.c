/* kernels/pool.h under attack: many callers at once, changing numbers of threads, working memory that grows, memory
 * that cannot be had, forks in between, callers that end. To be run under ThreadSanitizer, and without for the forks.
 *
 *     pool calls SECONDS        callers against each other
 *     pool memory SECONDS       the same while allocations fail at random
 *     pool fork SECONDS         the same while the main thread forks, and each child calls kernels
 *     pool signals SECONDS      the same while signals arrive: none may reach a worker
 *
 * Prints what went wrong, and the number of jobs that ran. test_sanitizers.py compiles and runs it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- allocations that fail */

static int failing; /* of 8 allocations that a pool makes, on average */
static __thread uint64_t random_state;

static uint64_t any(void) {
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    return z ^ z >> 27;
}

static int unlucky(void) { return (int)(any() % 8) < __atomic_load_n(&failing, __ATOMIC_RELAXED); }

static int our_memalign(void **p, size_t alignment, size_t bytes) {
    return unlucky() ? ENOMEM : posix_memalign(p, alignment, bytes);
}

static void *our_calloc(size_t count, size_t bytes) { return unlucky() ? NULL : calloc(count, bytes); }

static int our_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    return unlucky() ? EAGAIN : pthread_create(thread, attributes, start, argument);
}

#define posix_memalign our_memalign
#define calloc our_calloc
#define pthread_create our_create
#include "pool.h"
#undef posix_memalign
#undef calloc
#undef pthread_create

/* ---- one job: every block once, with memory of its own */

#define MOST_BLOCKS 64
#define CALLERS 6

static int failures;

static void wrong(const char *what) {
    if (__atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED) < 10) fprintf(stderr, "pool: %s\n", what);
}

typedef struct {
    size_t bytes;
    uint64_t *shared;
    int ran[MOST_BLOCKS]; /* plain: two threads in one block are a race that ThreadSanitizer reports */
    uint64_t result[MOST_BLOCKS];
} job;

static void run_block(void *context, int64_t block, void *work) {
    job *j = context;
    unsigned char *bytes = work, mark = (unsigned char)(block + 1);
    size_t step = j->bytes / 32 + 1;
    for (size_t i = 0; i < j->bytes; i += step) bytes[i] = mark;
    for (volatile int i = 0; i < 200 * (int)(block % 7); i++);
    if (block % 11 == 10) sched_yield();
    for (size_t i = 0; i < j->bytes; i += step)
        if (bytes[i] != mark) {
            wrong("two blocks have the same working memory");
            break;
        }
    if ((uintptr_t)work % 64) wrong("working memory is not aligned");
    j->ran[block]++;
    j->result[block] = j->shared[block] * 3;
}

/* Whether it ran; without memory it must not, and must say so. */
static int run_job(void) {
    static const size_t most[] = {1, 3000, 3000, 200000};
    job j = {.bytes = any() % most[any() % 4]};
    int64_t blocks = (int64_t)(any() % (MOST_BLOCKS + 1));
    uint64_t input[MOST_BLOCKS];
    j.shared = npdl_shared(sizeof input);
    if (!j.shared) {
        if (!npdl_take_missing()) wrong("npdl_shared failed and nothing says so");
        return 0;
    }
    for (int i = 0; i < MOST_BLOCKS; i++) j.shared[i] = input[i] = any();
    npdl_parallel(run_block, &j, blocks, j.bytes);
    size_t missing = npdl_take_missing();
    for (int64_t i = 0; i < MOST_BLOCKS; i++) {
        int expected = i < blocks && !missing;
        if (j.ran[i] != expected) wrong(expected ? "a block did not run once" : "a block ran that should not");
        if (expected && j.result[i] != input[i] * 3) wrong("a block's result is lost");
    }
    return !missing;
}

/* ---- callers */

static int64_t deadline;
static int64_t jobs;
static __thread int is_ours; /* not a worker */

static void mask(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(how, &set, NULL);
}

/* A thread says that it is ours, and may get signals from then on: it begins without. */
static void ours(void) {
    is_ours = 1;
    mask(SIG_UNBLOCK);
}

static int start(pthread_t *thread, void *(*function)(void *), void *argument) {
    mask(SIG_BLOCK);
    const int error = pthread_create(thread, NULL, function, argument);
    mask(SIG_UNBLOCK);
    return error;
}

static void *caller(void *number) {
    ours();
    random_state = (uint64_t)(uintptr_t)number * 7919;
    while (npdl_nanoseconds() < deadline) {
        int64_t done = 0;
        for (int i = 0; i < 50; i++) done += run_job();
        __atomic_fetch_add(&jobs, done, __ATOMIC_RELAXED);
        if (any() % 4 == 0) npdl_set_num_threads((int)(any() % 7)); /* 0 counts as 1 */
        if (any() % 4 == 0) usleep((useconds_t)(any() % 300));      /* long enough for workers to fall asleep */
        if (any() % 16 == 0) break;                                 /* its memory is freed, another takes its place */
    }
    return NULL;
}

static void *employer(void *number) {
    ours();
    for (uint64_t i = 1; npdl_nanoseconds() < deadline; i++) {
        pthread_t thread;
        if (start(&thread, caller, (void *)((uintptr_t)number + 100 * i))) continue;
        pthread_join(thread, NULL);
    }
    return NULL;
}

/* Forks until the deadline; a child that hangs is ended by its alarm, and counts. */
static void keep_forking(void) {
    while (npdl_nanoseconds() < deadline) {
        pid_t child = fork();
        if (child < 0) continue;
        if (child == 0) {
            alarm(20);
            npdl_set_num_threads(3);
            for (int i = 0; i < 20; i++) run_job();
            _exit(failures ? 1 : 0);
        }
        int status;
        waitpid(child, &status, 0);
        if (!WIFEXITED(status) || WEXITSTATUS(status)) wrong("a forked child failed or hung");
    }
}

static int signals;

static void on_signal(int signal) {
    (void)signal;
    __atomic_fetch_add(&signals, 1, __ATOMIC_RELAXED);
    if (!is_ours) _exit(3);
}

int main(int count, char **arguments) {
    if (count != 3 || npdl_start_pool()) return 2;
    const char *mode = arguments[1];
    pthread_t threads[CALLERS];
    deadline = npdl_nanoseconds() + (int64_t)(atof(arguments[2]) * 1e9);
    is_ours = 1;
    signal(SIGUSR1, on_signal);
    if (!strcmp(mode, "memory")) failing = 2;
    for (intptr_t i = 0; i < CALLERS; i++)
        if (start(&threads[i], employer, (void *)(i + 1))) return 2;
    if (!strcmp(mode, "fork")) keep_forking();
    if (!strcmp(mode, "signals"))
        while (npdl_nanoseconds() < deadline) {
            kill(getpid(), SIGUSR1);
            run_job();
        }
    for (int i = 0; i < CALLERS; i++) pthread_join(threads[i], NULL);
    failing = 0;
    if (!run_job()) wrong("the pool does not work any more");
    if (!strcmp(mode, "signals") && !signals) wrong("no signal arrived");
    printf("%lld jobs, %d failures\n", (long long)jobs, failures);
    return failures != 0;
}
