/* Every kernel on test vectors made of integers, and a hash of what it gives: equal hashes, equal bits.
 *
 *     bits                      one line a case, "name hash"; every build must print the same lines
 *     bits fuzz SEED COUNT      COUNT random cases from that seed, to be run under sanitizers
 *     bits once                 the same lines, each case run with 3 threads alone: for an emulator
 *
 * Each case runs with 1, 2 and 3 threads; where these differ it says so and the exit status is 1. Arrays are exactly as
 * long as the kernel may touch, every other one not aligned to more than its own numbers, so that AddressSanitizer sees
 * a read beyond the end. Nothing here calls the C library's mathematics. test_bits.py compiles and compares.
 *
 * A NaN counts as a NaN: its sign and payload are the processor's. Zeros keep their sign.
 */
#ifndef BITS_REAL
#ifndef BITS_C
#define BITS_C

#include <stdarg.h>
#include <stdio.h>

#include "engine.h"

/* ---- numbers: splitmix64, and what is made of its words without rounding */

static uint64_t state, hash;

static uint64_t word(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* a whole number in [low, high] */
static int64_t between(int64_t low, int64_t high) { return low + (int64_t)(word() % (uint64_t)(high - low + 1)); }

static void absorb(const void *bytes, size_t count) { /* FNV-1a */
    for (const unsigned char *p = bytes; count--; p++) hash = (hash ^ *p) * 0x100000001b3u;
}

/* ---- memory: exact, freed at the end of the case */

static void *taken[64];
static int taken_count, failures;

static void *take(size_t bytes, size_t unit) {
    size_t shift = taken_count % 2 ? unit : 0;
    char *p = malloc(bytes + shift + !(bytes + shift));
    if (!p || taken_count == 64) {
        fprintf(stderr, "bits: no memory\n");
        exit(2);
    }
    taken[taken_count++] = p;
    memset(p, 0xa5, bytes + shift); /* an output that is not written shows in every hash */
    return p + shift;
}

/* ---- a case: seeded by its name, run with 1, 2 and 3 threads */

static char name[256];
static uint64_t first_hash;
static int quiet, fewest = 1;

static void begin(int threads) {
    npdl_set_num_threads(threads);
    state = 0, hash = 0xcbf29ce484222325u;
    for (const char *p = name; *p; p++) state = (state ^ (unsigned char)*p) * 0x100000001b3u;
}

static void end(int threads) {
    while (taken_count) free(taken[--taken_count]);
    size_t missing = npdl_take_missing();
    if (missing) printf("%s: no %zu bytes of working memory\n", name, missing), failures++;
    if (threads == fewest) first_hash = hash;
    else if (hash != first_hash) printf("%s: %d threads give other bits than 1\n", name, threads), failures++;
    if (threads == 3 && !quiet) printf("%s %016llx\n", name, (unsigned long long)hash);
}

#define CASE(call, ...)                                                                                               \
    do {                                                                                                              \
        snprintf(name, sizeof name, __VA_ARGS__);                                                                     \
        for (int threads = fewest; threads <= 3; threads++) {                                                         \
            begin(threads);                                                                                           \
            call;                                                                                                     \
            end(threads);                                                                                             \
        }                                                                                                             \
    } while (0)

/* ---- windows, as npdl/kernels/geometry.py makes them */

typedef struct { int64_t h, w, c, kh, kw, sh, sw, dh, dw, f, groups; int same; } shape;

static int64_t out_size(int64_t size, int64_t kernel, int64_t stride, int64_t dilation, int same, int64_t *pad) {
    int64_t span = (kernel - 1) * dilation + 1, out = same ? (size + stride - 1) / stride : (size - span) / stride + 1;
    int64_t total = (out - 1) * stride + span - size;
    *pad = same && total > 0 ? total / 2 : 0;
    return out;
}

static npdl_window window(shape s) {
    npdl_window g = {
        .in_h = s.h, .in_w = s.w, .channels = s.c, .kernel_h = s.kh, .kernel_w = s.kw, .stride_h = s.sh,
        .stride_w = s.sw, .dilation_h = s.dh, .dilation_w = s.dw, .filters = s.f, .groups = s.groups,
    };
    g.out_h = out_size(s.h, s.kh, s.sh, s.dh, s.same, &g.pad_top);
    g.out_w = out_size(s.w, s.kw, s.sw, s.dw, s.same, &g.pad_left);
    return g;
}

#define SHAPE_FORMAT "%dx%dx%d k%dx%d s%dx%d d%dx%d %s f%d g%d n%d"
#define SHAPE_NUMBERS(s, n)                                                                                           \
    (int)(s).h, (int)(s).w, (int)(s).c, (int)(s).kh, (int)(s).kw, (int)(s).sh, (int)(s).sw, (int)(s).dh, (int)(s).dw, \
        (s).same ? "same" : "valid", (int)(s).f, (int)(s).groups, (int)(n)

static const shape CONVOLUTIONS[] = {
    /* h, w, c, kh, kw, sh, sw, dh, dw, f, groups, same */
    {9, 8, 1, 5, 5, 1, 1, 1, 1, 10, 1, 0}, {9, 8, 1, 3, 3, 1, 1, 1, 1, 33, 1, 1}, {10, 10, 3, 5, 5, 1, 1, 1, 1, 64, 1, 1},
    {9, 7, 3, 3, 3, 2, 2, 1, 1, 20, 1, 1}, {8, 8, 3, 3, 3, 1, 1, 1, 1, 33, 1, 0}, {9, 8, 7, 3, 3, 1, 1, 1, 1, 10, 1, 1},
    {9, 8, 7, 1, 1, 1, 1, 1, 1, 33, 1, 1}, {9, 8, 7, 1, 1, 2, 2, 1, 1, 20, 1, 0}, {9, 9, 16, 5, 5, 1, 1, 1, 1, 20, 1, 1},
    {7, 6, 16, 3, 3, 1, 1, 1, 1, 64, 1, 1}, {9, 9, 16, 3, 3, 2, 2, 1, 1, 33, 1, 1}, {9, 9, 16, 3, 2, 3, 2, 1, 1, 10, 1, 0},
    {10, 9, 16, 3, 3, 1, 1, 2, 3, 20, 1, 1}, {9, 9, 16, 3, 3, 2, 1, 2, 2, 10, 1, 0}, {14, 14, 64, 3, 3, 1, 1, 1, 1, 64, 1, 1},
    {6, 7, 64, 3, 3, 1, 1, 1, 1, 33, 1, 0}, {4, 4, 64, 3, 3, 1, 1, 1, 1, 20, 1, 1}, {5, 5, 64, 1, 1, 1, 1, 1, 1, 64, 1, 1},
    {6, 6, 64, 3, 3, 2, 2, 1, 1, 64, 1, 1}, {9, 8, 6, 2, 5, 2, 1, 1, 1, 4, 2, 1}, {6, 6, 10, 3, 3, 1, 1, 1, 1, 20, 5, 1},
    {6, 6, 7, 3, 3, 1, 1, 1, 1, 7, 7, 1}, {7, 7, 64, 3, 3, 1, 1, 1, 1, 64, 64, 1}, {9, 9, 128, 3, 3, 1, 1, 1, 1, 64, 2, 1},
    {3, 3, 2, 7, 7, 1, 1, 1, 1, 3, 1, 1}, {12, 12, 2, 4, 3, 4, 2, 2, 2, 2, 1, 1}, {1, 9, 3, 1, 4, 1, 2, 1, 1, 2, 1, 0},
    {6, 7, 70, 3, 3, 1, 1, 1, 1, 20, 1, 1}, {5, 4, 40, 5, 3, 2, 1, 1, 2, 17, 1, 1}, {13, 5, 32, 3, 3, 1, 1, 1, 1, 96, 1, 1},
};
static const shape POOLS[] = {
    {8, 8, 16, 2, 2, 2, 2, 1, 1, 16, 1, 0}, {9, 7, 3, 2, 2, 2, 2, 1, 1, 3, 1, 1}, {9, 7, 5, 3, 3, 2, 2, 1, 1, 5, 1, 1},
    {7, 7, 33, 3, 3, 1, 1, 1, 1, 33, 1, 1}, {9, 9, 1, 3, 2, 1, 2, 2, 1, 1, 1, 0}, {40, 20, 2, 20, 16, 5, 3, 1, 1, 2, 1, 1},
    {6, 6, 70, 2, 3, 3, 2, 1, 1, 70, 1, 1}, {30, 30, 24, 2, 2, 2, 2, 1, 1, 24, 1, 0}, {5, 5, 8, 5, 5, 1, 1, 1, 1, 8, 1, 0},
};
#define COUNT(table) ((int64_t)(sizeof(table) / sizeof((table)[0])))

/* NPDL_GENERAL_RELU and others read these */
static const double CONSTANTS[3] = {0.125, 6, -0.5};

#define BITS_REAL
#undef REAL
#undef NPDL_SUFFIX
#define REAL float
#define NPDL_SUFFIX _f32
#include "bits.c"
#undef REAL
#undef NPDL_SUFFIX
#define REAL double
#define NPDL_SUFFIX _f64
#include "bits.c"
#undef BITS_REAL

int main(int count, char **arguments) {
    if (npdl_start_pool()) return 2;
    if (count == 4 && !strcmp(arguments[1], "fuzz")) {
        uint64_t seed = strtoull(arguments[2], NULL, 10);
        int64_t cases = strtoll(arguments[3], NULL, 10);
        for (int64_t i = 0; i < cases && !failures; i++) {
            state = (seed << 32) + (uint64_t)i;
            quiet = 1;
            if (word() % 2) random_case_f32();
            else random_case_f64();
        }
        printf("%lld random cases, %d failures; the last: %s\n", (long long)cases, failures, name);
        return failures != 0;
    }
    if (count == 2 && !strcmp(arguments[1], "once")) fewest = 3;
    cases_f32();
    cases_f64();
    return failures != 0;
}

#endif
#else

/* ---- once for float and once for double */

/* n numbers k / 2²⁴, in [−scale, scale): exact in both types for scales that are powers of two */
static REAL *FN(numbers)(int64_t n, REAL scale) {
    REAL *p = take((size_t)n * sizeof(REAL), sizeof(REAL));
    for (int64_t i = 0; i < n; i++) p[i] = (REAL)((int64_t)(word() >> 39) - (1 << 24)) * (REAL)0x1p-24 * scale;
    return p;
}

/* n numbers from 1/1024 to 1 */
static REAL *FN(shares)(int64_t n) {
    REAL *p = FN(numbers)(n, 1);
    for (int64_t i = 0; i < n; i++) p[i] = (REAL)((word() >> 54) + 1) * (REAL)0x1p-10;
    return p;
}

/* any pattern of bits: every exponent, subnormals, infinities, NaNs */
static REAL *FN(patterns)(int64_t n) {
    REAL *p = FN(numbers)(n, 1);
    for (int64_t i = 0; i < n; i++) {
        uint64_t bits = word();
        memcpy(p + i, &bits, sizeof(REAL));
    }
    return p;
}

static REAL *FN(empty)(int64_t n) { return take((size_t)n * sizeof(REAL), sizeof(REAL)); }

static void FN(see)(const REAL *p, int64_t n) {
    const unsigned char nan[1] = {0xff};
    for (int64_t i = 0; i < n; i++)
        if (p[i] != p[i]) absorb(nan, 1);
        else absorb(p + i, sizeof(REAL));
}

/* ---- one function a kernel */

static void FN(try_matmul)(int64_t m, int64_t n, int64_t k, int ta, int tb, int bias, int z, int code) {
    REAL *a = FN(numbers)(m * k, 1), *b = FN(numbers)(k * n, 1), *c = FN(numbers)(n, 1);
    REAL *out = FN(empty)(m * n), *before = FN(empty)(m * n);
    FN(npdl_matmul)(a, b, out, bias ? c : NULL, NULL, NULL, z ? before : NULL, NULL, NULL, m, n, k, ta, tb, code, CONSTANTS);
    FN(see)(out, m * n);
    if (z) FN(see)(before, m * n);
    if (z) return;
    REAL *add = FN(numbers)(m * n, 1), *times = FN(numbers)(m * n, 1), *slope = FN(empty)(m * n), *sums = FN(empty)(n);
    const int keeps = code == NPDL_GELU || code == NPDL_GELU_TANH;
    FN(npdl_matmul)(a, b, out, bias ? c : NULL, add, times, NULL, keeps ? slope : NULL, tb ? NULL : sums, m, n, k, ta, tb,
                    code, CONSTANTS);
    FN(see)(out, m * n);
    if (keeps) FN(see)(slope, m * n);
    if (!tb) FN(see)(sums, n);
}

static void FN(try_sum_rows)(int64_t rows, int64_t columns) {
    REAL *x = FN(numbers)(rows * columns, 1), *out = FN(empty)(columns);
    FN(npdl_sum_rows)(x, rows, columns, out);
    FN(see)(out, columns);
}

static void FN(try_conv)(shape s, int64_t n, int bias, int z, int code) {
    npdl_window g = window(s);
    int64_t in = n * g.in_h * g.in_w * g.channels, out = n * g.out_h * g.out_w * g.filters;
    int64_t weights = g.kernel_h * g.kernel_w * g.channels / g.groups * g.filters;
    REAL *x = FN(numbers)(in, 1), *w = FN(numbers)(weights, 1), *b = FN(numbers)(g.filters, 1);
    REAL *dz = FN(numbers)(out, 1), *y = FN(empty)(out), *before = FN(empty)(out);
    REAL *dx = FN(empty)(in), *dw = FN(empty)(weights);
    FN(npdl_conv2d)(x, w, y, bias ? b : NULL, z ? before : NULL, n, &g, code, CONSTANTS);
    FN(npdl_conv2d_dx)(dz, w, dx, n, &g);
    FN(npdl_conv2d_dkernel)(x, dz, dw, n, &g);
    FN(see)(y, out);
    if (z) FN(see)(before, out);
    FN(see)(dx, in);
    FN(see)(dw, weights);
    if (g.groups > 1) return;
    int64_t few = n * (g.out_h / 2) * (g.out_w / 2) * g.filters;
    REAL *pooled = FN(empty)(few), *dy = FN(numbers)(few, 1), *sums = FN(empty)(g.filters);
    uint8_t *winners = take((size_t)few, 1);
    for (int relu = 0; relu < 2; relu++) {
        FN(npdl_conv2d_pooled)(x, w, pooled, bias ? b : NULL, winners, relu, n, &g);
        FN(see)(pooled, few);
        absorb(winners, (size_t)few);
        FN(npdl_unpool)(dy, winners, z ? y : NULL, sums, n, g.out_h, g.out_w, g.filters);
        if (z) FN(see)(y, out);
        FN(see)(sums, g.filters);
        FN(npdl_conv2d_pooled_dkernel)(x, dy, winners, dw, n, &g);
        FN(see)(dw, weights);
    }
}

static void FN(try_im2col)(shape s, int64_t n) {
    npdl_window g = window(s);
    int64_t in = n * g.in_h * g.in_w * g.channels;
    int64_t cols = n * g.out_h * g.out_w * g.kernel_h * g.kernel_w * g.channels;
    REAL *x = FN(numbers)(in, 1), *c = FN(empty)(cols), *back = FN(empty)(in);
    FN(npdl_im2col)(x, c, n, &g);
    FN(see)(c, cols);
    FN(npdl_col2im)(c, back, n, &g);
    FN(see)(back, in);
}

/* Values of which many are equal, and some are NaN. */
static void FN(try_pool)(shape s, int64_t n) {
    npdl_window g = window(s);
    int64_t in = n * g.in_h * g.in_w * g.channels, out = n * g.out_h * g.out_w * g.channels;
    int64_t width = g.kernel_h * g.kernel_w <= NPDL_NARROW_TAPS ? 1 : 4;
    REAL *x = FN(numbers)(in, 1), *dy = FN(numbers)(out, 1), *y = FN(empty)(out), *dx = FN(empty)(in);
    void *winners = take((size_t)(out * width), (size_t)width);
    const REAL nan = (REAL)(INFINITY - INFINITY);
    FN(npdl_average_pool2d)(x, y, n, &g);
    FN(see)(y, out);
    for (int64_t i = 0; i < in; i++) {
        uint64_t bits = word();
        if (bits % 2) x[i] = (REAL)(bits >> 62);
        if (bits % 64 == 0) x[i] = nan;
    }
    for (int relu = 0; relu < 2; relu++) {
        FN(npdl_max_pool2d)(x, y, winners, relu, n, &g);
        FN(see)(y, out);
        absorb(winners, (size_t)(out * width));
        FN(npdl_max_pool2d)(x, y, NULL, relu, n, &g);
        FN(see)(y, out);
        FN(npdl_max_pool2d_grad)(dy, winners, relu ? y : NULL, dx, n, &g);
        FN(see)(dx, in);
    }
    FN(npdl_average_pool2d_grad)(dy, dx, n, &g);
    FN(see)(dx, in);
}

static void FN(try_global_pool)(int64_t n, int64_t places, int64_t c) {
    REAL *x = FN(numbers)(n * places * c, 1), *y = FN(empty)(n * c), *dx = FN(empty)(n * places * c);
    int32_t *winners = take((size_t)(n * c) * sizeof(int32_t), sizeof(int32_t));
    for (int kind = 0; kind < 4; kind++) {
        if (kind % 2) FN(npdl_global_pool)(kind, y, dx, winners, n, places, c), FN(see)(dx, n * places * c);
        else FN(npdl_global_pool)(kind, x, y, winners, n, places, c), FN(see)(y, n * c);
    }
    absorb(winners, (size_t)(n * c) * sizeof(int32_t));
}

/* Volumes: the shape's height is their depth, too. */
static void FN(try_conv3d)(shape s, int64_t n, int bias, int code) {
    npdl_window g = window(s);
    npdl_depth d = {g.in_h, g.kernel_h, g.stride_w, 0, g.dilation_h, 0};
    d.out = out_size(d.in, d.kernel, d.stride, d.dilation, s.same, &d.pad);
    int64_t in = n * d.in * g.in_h * g.in_w * g.channels, out = n * d.out * g.out_h * g.out_w * g.filters;
    int64_t weights = d.kernel * g.kernel_h * g.kernel_w * (g.channels / g.groups) * g.filters;
    REAL *x = FN(numbers)(in, 1), *w = FN(numbers)(weights, 1), *b = FN(numbers)(g.filters, 1);
    REAL *c = FN(numbers)(g.channels, 1), *dz = FN(numbers)(out, 1), *y = FN(empty)(out);
    REAL *dx = FN(empty)(in), *dw = FN(empty)(weights);
    FN(npdl_conv3d)(x, w, y, bias ? b : NULL, NULL, n, &g, &d, code, CONSTANTS);
    FN(see)(y, out);
    FN(npdl_conv3d_dx)(dz, w, dx, n, &g, &d);
    FN(see)(dx, in);
    FN(npdl_conv3d_dkernel)(x, dz, dw, n, &g, &d);
    FN(see)(dw, weights);
    FN(npdl_conv3d_transpose)(dz, w, dx, bias ? c : NULL, x, n, &g, &d, code, CONSTANTS);
    FN(see)(dx, in);
    FN(see)(x, in);
}

static void FN(try_bins)(int64_t rows, int64_t places, int64_t bins, int64_t c) {
    int64_t in = rows * places * c, out = rows * bins * c;
    REAL *x = FN(numbers)(in, 1), *y = FN(empty)(out), *dx = FN(empty)(in);
    int32_t *winners = take((size_t)out * sizeof(int32_t), sizeof(int32_t));
    for (int kind = 0; kind < 4; kind++) {
        if (kind % 2) FN(npdl_bins)(kind, y, dx, winners, rows, places, bins, c), FN(see)(dx, in);
        else FN(npdl_bins)(kind, x, y, winners, rows, places, bins, c), FN(see)(y, out);
    }
    absorb(winners, (size_t)out * sizeof(int32_t));
}

/* A margin of `before` places that are the same one, and a shorter one behind. */
static void FN(try_fold)(int64_t rows, int64_t length, int64_t before, int64_t c) {
    int64_t after = before / 2, longer = before + length + after, *source = take((size_t)longer * 8, 8);
    REAL *dy = FN(numbers)(rows * longer * c, 1), *dx = FN(empty)(rows * length * c);
    for (int64_t i = 0; i < longer; i++) source[i] = i < before ? 0 : i < before + length ? i - before : length - 1;
    FN(npdl_fold)(dy, dx, source, rows, longer, length, before, c);
    FN(see)(dx, rows * length * c);
}

static void FN(try_norm)(int64_t rows, int64_t c, int affine) {
    const double epsilon = 0.0009765625;
    REAL *x = FN(numbers)(rows * c, 4), *dy = FN(numbers)(rows * c, 1), *y = FN(empty)(rows * c);
    REAL *gamma = FN(numbers)(c, 1), *beta = FN(numbers)(c, 1), *mean = FN(empty)(c), *variance = FN(empty)(c);
    REAL *dgamma = FN(empty)(c), *dbeta = FN(empty)(c), *average = FN(numbers)(c, 1);
    REAL *dz = FN(empty)(rows * c), *dx = FN(empty)(rows * c);
    if (!affine) gamma = beta = NULL;
    FN(npdl_batch_norm_statistics)(x, mean, variance, rows, c);
    FN(see)(mean, c);
    FN(see)(variance, c);
    for (int way = 0; way < 4; way++) {
        const int frozen = way / 2, relu = way % 2;
        FN(npdl_batch_norm)(x, mean, variance, gamma, beta, epsilon, frozen ? dy : NULL, relu, y, rows, c);
        FN(see)(y, rows * c);
        FN(npdl_batch_norm_grad)(frozen, dy, x, mean, variance, gamma, beta, epsilon, 0, y, dz, dx, dgamma, dbeta, rows,
                                 c);
        FN(see)(dz, rows * c);
        FN(see)(dx, rows * c);
        FN(npdl_batch_norm_grad)(frozen, dy, x, mean, variance, gamma, beta, epsilon, relu, NULL, NULL, dx, dgamma, dbeta,
                                 rows, c);
        FN(see)(dx, rows * c);
        FN(see)(dgamma, c);
        FN(see)(dbeta, c);
        FN(npdl_batch_norm_grad)(frozen, dy, x, mean, variance, gamma, beta, epsilon, relu, NULL, NULL, dx, NULL, NULL,
                                 rows, c);
        FN(see)(dx, rows * c);
    }
    FN(npdl_moving_average)(mean, 0.99, average, c);
    FN(see)(average, c);
}

static void FN(try_norm_pooled)(int64_t n, int64_t h, int64_t w, int64_t c) {
    const double epsilon = 0.0009765625;
    int64_t rows = n * h * w, few = n * (h / 2) * (w / 2) * c;
    REAL *x = FN(numbers)(rows * c, 4), *dy = FN(numbers)(few, 1), *y = FN(empty)(few), *dx = FN(empty)(rows * c);
    REAL *gamma = FN(numbers)(c, 1), *beta = FN(numbers)(c, 1), *mean = FN(numbers)(c, 1), *variance = FN(empty)(c);
    REAL *dgamma = FN(empty)(c), *dbeta = FN(empty)(c);
    uint8_t *winners = take((size_t)few, 1);
    for (int64_t i = 0; i < c; i++) variance[i] = mean[i] * mean[i];
    for (int way = 0; way < 4; way++) {
        const int frozen = way / 2, relu = way % 2;
        FN(npdl_batch_norm_pooled)(x, mean, variance, gamma, beta, epsilon, relu, y, winners, n, h, w, c);
        FN(see)(y, few);
        absorb(winners, (size_t)few);
        FN(npdl_batch_norm_pooled_grad)(frozen, dy, winners, x, mean, variance, gamma, epsilon, dx, dgamma, dbeta, n, h,
                                        w, c);
        FN(see)(dx, rows * c);
        FN(see)(dgamma, c);
        FN(see)(dbeta, c);
    }
}

static void FN(try_row_norm)(int kind, int64_t rows, int64_t d, int affine) {
    const double epsilon = 0.0009765625;
    REAL *x = FN(numbers)(rows * d, 4), *dy = FN(numbers)(rows * d, 1), *y = FN(empty)(rows * d);
    REAL *gamma = FN(numbers)(d, 1), *beta = FN(numbers)(d, 1), *mean = FN(empty)(rows), *inverse = FN(empty)(rows);
    REAL *dgamma = FN(empty)(d), *dbeta = FN(empty)(d);
    if (!affine) gamma = beta = NULL;
    FN(npdl_row_norm)(kind, x, gamma, beta, epsilon, y, mean, inverse, rows, d);
    FN(see)(y, rows * d);
    FN(see)(mean, rows);
    FN(see)(inverse, rows);
    FN(npdl_row_norm_grad)(kind, dy, x, mean, inverse, gamma, NULL, y, dgamma, dbeta, rows, d);
    FN(see)(y, rows * d);
    FN(see)(dgamma, d);
    FN(see)(dbeta, d);
    FN(npdl_row_norm_grad)(kind, dy, x, mean, inverse, gamma, x, y, NULL, NULL, rows, d);
    FN(see)(y, rows * d);
}

static void FN(try_group_norm)(int64_t n, int64_t positions, int64_t groups, int64_t width, int affine) {
    const double epsilon = 0.0009765625;
    const int64_t c = groups * width, all = n * positions * c;
    REAL *x = FN(numbers)(all, 4), *dy = FN(numbers)(all, 1), *y = FN(empty)(all), *gamma = FN(numbers)(c, 1);
    REAL *beta = FN(numbers)(c, 1), *mean = FN(empty)(n * groups), *inverse = FN(empty)(n * groups);
    REAL *dgamma = FN(empty)(c), *dbeta = FN(empty)(c);
    if (!affine) gamma = beta = NULL;
    FN(npdl_group_norm)(x, gamma, beta, epsilon, y, mean, inverse, n, positions, c, groups);
    FN(see)(y, all);
    FN(see)(mean, n * groups);
    FN(see)(inverse, n * groups);
    FN(npdl_group_norm_grad)(dy, x, mean, inverse, gamma, y, dgamma, dbeta, n, positions, c, groups);
    FN(see)(y, all);
    FN(see)(dgamma, c);
    FN(see)(dbeta, c);
    FN(npdl_group_norm_grad)(dy, x, mean, inverse, gamma, y, NULL, NULL, n, positions, c, groups);
    FN(see)(y, all);
}

static void FN(try_activation)(int code, int64_t n, int wild) {
    REAL *z = wild ? FN(patterns)(n) : FN(numbers)(n, 8), *dy = FN(numbers)(n, 1), *out = FN(empty)(n);
    FN(npdl_activation)(code, CONSTANTS, z, out, n);
    FN(see)(out, n);
    FN(npdl_activation_grad)(code, CONSTANTS, dy, z, out, n);
    FN(see)(out, n);
}

/* log-softmax and sparsemax along the middle axis, GLU and PReLU. */
static void FN(try_rows)(int64_t outer, int64_t n, int64_t inner) {
    const int64_t all = outer * n * inner;
    REAL *z = FN(numbers)(2 * all, 8), *dy = FN(numbers)(all, 1), *out = FN(empty)(2 * all), *dalpha = FN(empty)(all);
    for (int code = NPDL_LOG_SOFTMAX; code <= NPDL_SPARSEMAX; code++) {
        FN(npdl_row_activation)(code, NULL, z, out, outer, n, inner);
        FN(see)(out, all);
        FN(npdl_row_activation)(code, dy, out, out, outer, n, inner);
        FN(see)(out, all);
    }
    FN(npdl_glu)(NULL, z, out, outer, n * inner);
    FN(see)(out, all);
    FN(npdl_glu)(dy, z, out, outer, n * inner);
    FN(see)(out, 2 * all);
    FN(npdl_prelu)(NULL, z, z + all, out, NULL, outer, n * inner);
    FN(see)(out, all);
    FN(npdl_prelu)(dy, z, z + all, out, dalpha, outer, n * inner);
    FN(see)(out, all);
    FN(see)(dalpha, all);
}

/* Penalties, and norms brought between two numbers along the middle axis. */
static void FN(try_rules)(int64_t outer, int64_t n, int64_t inner) {
    const int64_t all = outer * n * inner;
    REAL *w = FN(numbers)(all, 2), *out = FN(numbers)(all, 1);
    double penalty = 0;
    FN(npdl_penalty)(0.25, 0.5, w, &penalty, all);
    REAL sum = (REAL)penalty;
    FN(see)(&sum, 1);
    FN(npdl_penalty_grad)(0.25, 0.5, w, out, all);
    FN(see)(out, all);
    FN(npdl_norm_limit)(0.5, 2, 0.25, w, out, outer, n, inner);
    FN(see)(out, all);
    FN(npdl_not_negative)(w, out, all);
    FN(see)(out, all);
}

static void FN(try_add)(int relu, int64_t n, int wild) {
    REAL *a = wild ? FN(patterns)(n) : FN(numbers)(n, 8), *b = FN(numbers)(n, 8), *out = FN(empty)(n);
    FN(npdl_add)(relu, a, b, out, n);
    FN(see)(out, n);
    FN(npdl_add)(relu, out, b, out, n);
    FN(see)(out, n);
    for (int op = NPDL_SUBTRACT; op <= NPDL_SCALE; op++) {
        FN(npdl_combine)(op, 0.3, a, b, out, n);
        FN(see)(out, n);
    }
    FN(npdl_match_grad)(b, a, out, out, b, n);
    FN(see)(out, n);
    FN(see)(b, n);
}

static void FN(try_elementary)(int function, int64_t n, int wild) {
    REAL *x = wild ? FN(patterns)(n) : FN(numbers)(n, 32), *out = FN(empty)(n);
    FN(npdl_elementary)(function, x, out, n);
    FN(see)(out, n);
}

static void FN(try_softmax)(int64_t outer, int64_t n, int64_t inner) {
    int64_t all = outer * n * inner;
    REAL *z = FN(numbers)(all, 16), *dy = FN(numbers)(all, 1), *y = FN(empty)(all), *dz = FN(empty)(all);
    FN(npdl_softmax)(NULL, z, y, outer, n, inner);
    FN(see)(y, all);
    FN(npdl_softmax)(dy, y, dz, outer, n, inner);
    FN(see)(dz, all);
}

static void FN(try_loss)(int kind, int64_t samples, int64_t d) {
    int64_t n = samples * d;
    const int bounded = kind == NPDL_BINARY || kind == NPDL_BINARY_FOCAL || kind == NPDL_POISSON ||
                        kind == NPDL_KL_DIVERGENCE || kind == NPDL_GENERALIZED;
    REAL *t = FN(shares)(n), *p = bounded ? FN(shares)(n) : FN(numbers)(n, 8), *scale = FN(shares)(samples);
    REAL *loss = FN(empty)(samples), *dp = FN(empty)(n), *weights = FN(numbers)(samples, 1);
    const double c[NPDL_CONSTANTS] = {0.125, 1, 0.25, 0.75};
    if (samples > 1) scale[samples / 2] = 0;
    FN(npdl_loss)(kind, c, t, p, NULL, loss, samples, d);
    FN(see)(loss, samples);
    FN(npdl_loss)(kind, c, t, p, scale, dp, samples, d);
    FN(see)(dp, n);
    const double sum = FN(npdl_weighted_sum)(loss, weights, samples);
    absorb(&sum, sizeof sum);
}

/* labels: 0 targets, 32 or 64 the bits of labels */
static void FN(try_cross_entropy)(int labels, int logits, int64_t samples, int64_t positions, int64_t classes) {
    int64_t rows = samples * positions, n = rows * classes;
    REAL *t = FN(shares)(n), *p = logits ? FN(numbers)(n, 16) : FN(shares)(n), *scale = FN(shares)(samples);
    REAL *loss = FN(empty)(samples), *dp = FN(empty)(n);
    int32_t *narrow = take((size_t)rows * sizeof(int32_t), sizeof(int32_t));
    int64_t *wide = take((size_t)rows * sizeof(int64_t), sizeof(int64_t));
    for (int64_t i = 0; i < rows; i++) wide[i] = narrow[i] = (int32_t)between(0, classes - 1);
    if (samples > 1) scale[samples / 2] = 0;
    for (int what = 1; what < 4; what++) { /* the loss, its gradient, both at once */
        FN(npdl_cross_entropy)(labels ? NULL : t, labels == 32 ? narrow : NULL, labels == 64 ? wide : NULL, p, scale,
                               what & 1 ? loss : NULL, what & 2 ? dp : NULL, logits, labels ? 0 : 0.125,
                               labels == 32 ? t : NULL, labels == 64 ? 0 : INT64_MIN, samples, positions, classes);
        if (what & 1) FN(see)(loss, samples);
        if (what & 2) FN(see)(dp, n);
    }
}

static void FN(try_row_loss)(int kind, int64_t samples, int64_t positions, int64_t classes) {
    int64_t n = samples * positions * classes;
    REAL *t = FN(shares)(n), *p = FN(shares)(n), *weights = FN(shares)(2 * classes), *scale = FN(shares)(samples);
    REAL *loss = FN(empty)(samples), *dp = FN(empty)(n);
    const double c[NPDL_CONSTANTS] = {kind == NPDL_MULTI_MARGIN ? 2 : 0.75, 0.125, 0.001};
    if (samples > 1) scale[samples / 2] = 0;
    for (int64_t i = 0; i < n && kind == NPDL_MULTI_LABEL_MARGIN; i++) t[i] = i % 3 ? 0 : 1;
    FN(npdl_row_loss)(kind, c, t, p, weights, scale, loss, dp, samples, positions, classes);
    FN(see)(loss, samples);
    FN(see)(dp, n);
}

static void FN(try_several)(int64_t samples, int64_t size) {
    int64_t n = samples * size;
    REAL *t = FN(shares)(n), *a = FN(numbers)(n, 1), *b = FN(shares)(n), *far = FN(numbers)(n, 1);
    REAL *scale = FN(shares)(samples), *loss = FN(empty)(samples);
    REAL *da = FN(empty)(n), *db = FN(empty)(n), *dn = FN(empty)(n);
    for (int kind = NPDL_MARGIN_RANKING; kind <= NPDL_CONTRASTIVE; kind++) {
        const double c[NPDL_CONSTANTS] = {0.25, 0.5};
        FN(npdl_pair_loss)(kind, c, t, a, b, scale, loss, da, db, samples, size);
        FN(see)(loss, samples);
        FN(see)(da, n);
        FN(see)(db, n);
    }
    for (int power = 1; power < 4; power++) {
        const double c[NPDL_CONSTANTS] = {1, power, 1e-6, power == 2};
        FN(npdl_triplet)(c, a, b, far, scale, loss, da, db, dn, samples, size);
        FN(see)(loss, samples);
        FN(see)(da, n);
        FN(see)(db, n);
        FN(see)(dn, n);
    }
}

static void FN(try_semi_hard)(int64_t samples, int64_t size) {
    REAL *e = FN(numbers)(samples * size, 1), *scale = FN(shares)(samples), *loss = FN(empty)(samples);
    REAL *de = FN(empty)(samples * size);
    int32_t *labels = take((size_t)samples * sizeof(int32_t), sizeof(int32_t));
    for (int64_t i = 0; i < samples; i++) labels[i] = (int32_t)between(0, 5);
    for (int root = 0; root < 2; root++) {
        FN(npdl_semi_hard)(labels, e, scale, loss, de, 0.5, root, 0.5, 0.125, samples, size);
        FN(see)(loss, samples);
        FN(see)(de, samples * size);
    }
    REAL *ds = FN(empty)(samples * samples);
    FN(npdl_circle)(labels, FN(numbers)(samples * samples, 1), scale, loss, ds, 8, 0.4, 0, 0.125, samples);
    FN(see)(loss, samples);
    FN(see)(ds, samples * samples);
}

static void FN(try_power)(int64_t n) {
    static const double exponents[] = {1, 2, 0.5, 3, 13, 1.7, -0.75};
    REAL *x = FN(numbers)(n, 8), *dy = FN(numbers)(n, 1), *out = FN(empty)(n);
    for (int64_t i = 0; i < COUNT(exponents); i++) {
        FN(npdl_powers)(NULL, x, exponents[i], out, n);
        FN(see)(out, n);
        FN(npdl_powers)(dy, x, exponents[i], out, n);
        FN(see)(out, n);
    }
}

static void FN(try_rounding)(int64_t n) {
    REAL *x = FN(patterns)(n), *out = FN(empty)(n);
    for (int half = 0; half < 2; half++) {
        FN(npdl_rounded)(x, out, n, half);
        FN(see)(out, n);
    }
}

/* Three tensors with gaps between them, the last one cut in two, in two blocks. */
static void FN(try_update)(int64_t n) {
    const int64_t blocks[] = {0, 2, 4}, a = n / 4, b = n / 2;
    const int64_t pieces[] = {0, a, 0, a + 1, b, 1, b + 3, b + 20, 2, b + 20, n, 2};
    const double segments[] = {0, a, 1, 0, 1, a + 1, b, 0.5, 0.125, 1, b + 3, n, 2, 0.25, 1};
    const double hyper[] = {0.01, 0.9, 0.999, 0.1, 0.001, 1e-7};
    const npdl_block each[] = {FN(npdl_adam), FN(npdl_adamw)};
    for (int variant = 0; variant < 4; variant++) {
        REAL *p = FN(numbers)(n, 1), *g = FN(numbers)(n, 1), *m = FN(numbers)(n, 1), *v = FN(numbers)(n, 1);
        REAL *most = FN(numbers)(n, 1);
        for (int64_t i = 0; i < n; i++) v[i] *= v[i];
        const void *context[] = {blocks, pieces, segments, hyper, p, g, m, v, variant < 2 ? NULL : most};
        npdl_parallel(each[variant % 2], (void *)context, 2, 0);
        FN(see)(p, n);
        FN(see)(m, n);
        FN(see)(v, n);
        FN(see)(most, n);
        const double rate[] = {0.01, 0.9, variant % 2, variant / 2};
        const void *sgd[] = {blocks, pieces, segments, rate, p, g, variant ? m : NULL, NULL, NULL};
        npdl_parallel(FN(npdl_sgd), (void *)sgd, 2, 0);
        FN(see)(p, n);
        FN(see)(m, n);
    }
}

static void FN(try_ctc)(int64_t samples, int64_t frames, int64_t classes, int64_t width) {
    int64_t n = samples * frames * classes;
    REAL *z = FN(numbers)(n, 4), *scale = FN(shares)(samples), *loss = FN(empty)(samples), *dz = FN(empty)(n);
    int32_t *labels = take((size_t)(samples * width) * sizeof(int32_t), sizeof(int32_t));
    for (int64_t i = 0; i < samples * width; i++) labels[i] = (int32_t)between(i % 7 == 6 ? 0 : 1, classes - 1);
    FN(npdl_ctc)(labels, z, scale, loss, dz, samples, frames, classes, width, 0);
    FN(see)(loss, samples);
    FN(see)(dz, n);
}

/* noise: the mask's step along each of (rows, columns): 0 repeats it. axes 0: a mask of the sample's own shape. */
static void FN(try_dropout)(int64_t samples, int64_t rows, int64_t columns, int axes, int64_t down, int64_t right) {
    int64_t size = rows * columns, n = samples * size;
    int64_t shape_[2] = {rows, columns}, stride[2] = {down, right};
    int64_t noise = axes ? (down ? rows : 1) * (right ? columns : 1) : size;
    const uint32_t key[2] = {0x12345678u, 0x9abcdef0u};
    REAL *x = FN(numbers)(n, 1), *out = FN(empty)(n);
    for (int kind = NPDL_DROPOUT; kind <= (axes ? NPDL_ALPHA_DROPOUT : NPDL_GAUSSIAN_NOISE); kind++) {
        FN(npdl_dropout)(kind, x, out, 1.25, 0.5, -0.75, 3355444, 7, key, samples, size, noise, axes, shape_, stride);
        FN(see)(out, n);
    }
}

/* (n, m, k) in the order (n, k, m); a part of it; each of its rows and columns twice; and the sum over these */
static void FN(try_shape)(int64_t n, int64_t m, int64_t k) {
    const int64_t size = n * m * k, half = m / 2 + 1;
    REAL *x = FN(numbers)(size, 1), *out = FN(empty)(size), *twice = FN(empty)(4 * size), *part = FN(empty)(n * half * k);
    FN(npdl_move_all)(x, out, 3, (int64_t[]){n, k, m}, (int64_t[]){m * k, 1, k}, (int64_t[]){m * k, m, 1});
    FN(see)(out, size);
    FN(npdl_move_all)(x + (m - half) * k, part, 3, (int64_t[]){n, half, k}, (int64_t[]){m * k, k, 1},
                      (int64_t[]){half * k, k, 1});
    FN(see)(part, n * half * k);
    FN(npdl_move_all)(x, twice, 5, (int64_t[]){n, m, 2, k, 2}, (int64_t[]){m * k, k, 0, 1, 0},
                      (int64_t[]){4 * m * k, 4 * k, 2 * k, 2, 1});
    FN(see)(twice, 4 * size);
    FN(npdl_repeat_grad)(twice, out, n, (int64_t[]){1, m, 1}, (int64_t[]){1, 2, 2}, k);
    FN(see)(out, size);
}

/* (n, h, w, c) resized to (h2, w2) by two or three taps a place */
static void FN(try_interpolate)(int64_t n, int64_t h, int64_t w, int64_t c, int64_t h2, int64_t w2) {
    REAL *x = FN(numbers)(n * h * w * c, 1), *out = FN(empty)(n * h2 * w2 * c);
    npdl_resampling both[2];
    for (int axis = 0; axis < 2; axis++) {
        const int64_t size = axis ? w : h, places = axis ? w2 : h2;
        int64_t *start = take((size_t)(places + 1) * sizeof(int64_t), sizeof(int64_t));
        int64_t *index = take((size_t)places * 3 * sizeof(int64_t), sizeof(int64_t));
        double *weight = take((size_t)places * 3 * sizeof(double), sizeof(double));
        for (int64_t i = 0; i < places; i++) {
            start[i] = 3 * i - i / 2; /* every second place has two taps */
            for (int64_t p = start[i]; p < 3 * (i + 1) - (i + 1) / 2; p++) {
                const int64_t near = i * size / places + p - start[i];
                index[p] = near < size ? near : size - 1;
                weight[p] = (double)(1 + p % 7) / 8;
            }
        }
        start[places] = 3 * places - places / 2;
        both[axis] = (npdl_resampling){start, index, weight};
    }
    FN(npdl_interpolate)(x, out, n, (int64_t[]){h, w, h2, w2, c}, both[0], both[1]);
    FN(see)(out, n * h2 * w2 * c);
}

/* kind: as in image.h, of what lies beyond the edges; and groups of rows with parameters of their own */
static void FN(try_image)(int64_t n, int64_t h, int64_t w, int64_t c, int64_t h2, int64_t w2, int linear, int kind) {
    REAL *x = FN(numbers)(n * h * w * c, 1), *y = FN(empty)(n * h2 * w2 * c), *dx = FN(empty)(n * h * w * c);
    REAL *center = FN(numbers)(n * c, 1), *scale = FN(numbers)(n * c, 1), *offset = FN(numbers)(n * c, 1);
    double *maps = take((size_t)n * 6 * sizeof(double), sizeof(double));
    for (int64_t i = 0; i < 6 * n; i++) maps[i] = (double)between(-300, 300) / (i % 3 == 2 ? 16 : 256);
    FN(npdl_affine)(0, x, maps, y, n, (int64_t[]){h, w, h2, w2, c}, linear, kind, 0.25);
    FN(see)(y, n * h2 * w2 * c);
    FN(npdl_affine)(1, y, maps, dx, n, (int64_t[]){h, w, h2, w2, c}, linear, kind, 0);
    FN(see)(dx, n * h * w * c);
    FN(npdl_rescale)(x, center, scale, offset, -2, 3, dx, n, h * w, c);
    FN(see)(dx, n * h * w * c);
    FN(npdl_rescale)(x, center, scale, offset, -2, 3, dx, 1, n * h * w, c);
    FN(see)(dx, n * h * w * c);
    for (int64_t i = 0; i < n; i++) maps[2 * i] = (double)(1 << i % 8) / 4, maps[2 * i + 1] = (double)between(0, 40) / 16;
    for (int way = NPDL_HSV; way <= NPDL_POSTERIZE; way++)
        for (int grad = 0; grad < 2; grad++) {
            const int64_t size = h * w * c / 3 * 3;
            FN(npdl_recolor)(grad, way, x, x, maps, -0.5, 1, dx, n, size);
            FN(see)(dx, n * size);
        }
}

static void FN(try_embedding)(int64_t rows, int64_t width, int64_t count, int wide) {
    REAL *table = FN(numbers)(rows * width, 1), *y = FN(empty)(count * width);
    int32_t *narrow = take((size_t)count * sizeof(int32_t), sizeof(int32_t));
    int64_t *numbers = take((size_t)count * sizeof(int64_t), sizeof(int64_t));
    for (int64_t i = 0; i < count; i++) narrow[i] = (int32_t)(numbers[i] = (int64_t)(word() % (uint64_t)rows));
    npdl_ids ids = {wide ? NULL : narrow, wide ? numbers : NULL, count, rows};
    FN(npdl_embedding)(&ids, table, y, width);
    FN(see)(y, count * width);
    FN(npdl_embedding_grad)(&ids, y, table, width);
    FN(see)(table, rows * width);
}

/* a recurrent layer's steps forward and backward, and for a GRU the gradient of its recurrent kernel */
static void FN(try_rnn)(int kind, int64_t steps, int64_t rows, int64_t units, int masked, int keep, int code) {
    const int64_t gates = (int64_t[]){1, 4, 3, 3}[kind], states = rows * units, all = steps * states;
    const int needs_z[] = {0, 0, 1, 0, 0, 1, 1, 0, 0};
    npdl_rnn_call call = {
        .kind = kind, .code = {code, NPDL_SIGMOID}, .from_z = {needs_z[code], 0}, .steps = steps, .rows = rows,
        .units = units, .kernel = FN(numbers)(units * gates * units, (REAL)0.125),
        .bias = kind == NPDL_GRU ? FN(numbers)(gates * units, 1) : NULL, .keep = keep ? FN(shares)(states) : NULL,
        .z = FN(numbers)(gates * all, 1), .h = FN(numbers)(all + states, 1), .c = FN(numbers)(all + states, 1),
        .inner = FN(empty)(all), .dropped = keep ? FN(empty)(all) : NULL, .dy = masked ? FN(numbers)(all, 1) : NULL,
        .dz = FN(empty)(gates * all), .dh = FN(numbers)(states, 1), .dc = FN(numbers)(states, 1),
        .dinner = FN(empty)(all),
    };
    if (kind == NPDL_LSTM && !keep) {
        call.width = units / 2 + 3, call.bias = FN(numbers)(gates * units, 1);
        call.input_kernel = FN(numbers)(call.width * gates * units, (REAL)0.125);
        call.x = FN(numbers)(steps * rows * call.width, 1), call.dx = FN(empty)(steps * rows * call.width);
        call.y = FN(empty)(all);
    }
    uint8_t *mask = take((size_t)(steps * rows), 1);
    for (int64_t i = 0; i < steps * rows; i++) mask[i] = word() % 3 != 0;
    if (masked) call.mask = mask;
    memcpy(call.constants, (double[2][3]){{0.1, 6, 0.5}, {0, 0, 0}}, sizeof call.constants);
    FN(npdl_rnn_steps)(&call);
    FN(see)(call.z, gates * all);
    FN(see)(call.h, all + states);
    FN(see)(call.c, all + states);
    FN(npdl_rnn_steps_grad)(&call);
    FN(see)(call.dz, gates * all);
    FN(see)(call.dh, states);
    FN(see)(call.dc, states);
    if (call.dx) FN(see)(call.dx, steps * rows * call.width), FN(see)(call.y, all);
    if (kind < NPDL_GRU) return;
    REAL *out = FN(empty)(units * 3 * units);
    FN(npdl_gru_dkernel)(call.h, call.inner, call.dz, call.dinner, out, steps * rows, units);
    FN(see)(out, units * 3 * units);
}

static void FN(try_rnn_dkernels)(int64_t rows, int64_t width, int64_t units, int64_t columns, int sums) {
    REAL *dw = FN(empty)(width * columns), *dr = FN(empty)(units * columns), *db = FN(empty)(columns);
    const REAL *x = FN(numbers)(rows * width, 1), *h = FN(numbers)(rows * units, 1), *dz = FN(numbers)(rows * columns, 1);
    FN(npdl_rnn_dkernels)(x, h, dz, dw, dr, sums ? db : NULL, rows, width, units, columns);
    FN(see)(dw, width * columns), FN(see)(dr, units * columns);
    if (sums) FN(see)(db, columns);
}

/* ---- the cases */

/* kind: 0 plain, 1 causal, 2 masks, 3 dropout */
static void FN(try_attention)(int kind, int64_t n, int64_t t, int64_t keys, int64_t heads, int64_t groups, int64_t d,
                              int64_t e) {
    FN(npdl_attend) s = {
        .samples = n, .queries = t, .keys = keys, .heads = heads, .groups = groups, .size = d, .value_size = e,
        .scale = (REAL)0.25, .mask = {.causal = kind == 1},
    };
    uint8_t *pairs = take(n * t * keys, 1);
    for (int64_t i = 0; i < n * t * keys; i++) pairs[i] = (uint8_t)(between(0, 3) > 0);
    if (kind == 2) s.mask.pair = pairs, s.mask.causal = 1;
    if (kind == 3) s.dropout = (npdl_attend_dropout){3355444, 7, {5, 6}, 1.25};
    s.q = FN(numbers)(n * t * heads * d, 2), s.k = FN(numbers)(n * keys * groups * d, 2);
    s.v = FN(numbers)(n * keys * groups * e, 2), s.dout = FN(numbers)(n * t * heads * e, 2);
    s.out = FN(empty)(n * t * heads * e), s.dq = FN(empty)(n * t * heads * d);
    s.dk = FN(empty)(n * keys * groups * d), s.dv = FN(empty)(n * keys * groups * e);
    FN(npdl_attention)(&s, 0);
    FN(npdl_attention)(&s, 1);
    FN(see)(s.out, n * t * heads * e), FN(see)(s.dq, n * t * heads * d);
    FN(see)(s.dk, n * keys * groups * d), FN(see)(s.dv, n * keys * groups * e);
}

static void FN(cases)(void) {
    const int bits = 8 * sizeof(REAL);
    static const int64_t sequences[][3] = {{3, 2, 5}, {2, 33, 33}, {2, 5, 289}, {1, 40, 64}, {0, 2, 3}};
    for (int64_t i = 0; i < COUNT(sequences); i++)
        for (int kind = NPDL_SIMPLE_RNN; kind <= NPDL_GRU_BEFORE; kind++) {
            const int64_t *p = sequences[i];
            CASE(FN(try_rnn)(kind, p[0], p[1], p[2], (i + kind) % 2, i % 2, i % 3 ? NPDL_TANH : NPDL_GELU),
                 "rnn%d %d %dx%dx%d", bits, kind, (int)p[0], (int)p[1], (int)p[2]);
        }
    static const int64_t summed[][4] = {{7, 5, 9, 36}, {0, 3, 2, 520}, {270, 13, 129, 516}, {2100, 1, 20, 530}};
    for (int64_t i = 0; i < COUNT(summed); i++) {
        const int64_t *p = summed[i];
        CASE(FN(try_rnn_dkernels)(p[0], p[1], p[2], p[3], i % 2), "rnn_dkernels%d %dx%dx%dx%d", bits, (int)p[0],
             (int)p[1], (int)p[2], (int)p[3]);
    }
    static const int64_t products[][3] = {
        {1, 40, 300}, {1, 7, 5}, {1, 300, 513}, {13, 17, 5}, {97, 33, 257}, {200, 10, 700}, {24, 130, 64}, {12, 32, 256},
        {5, 1, 513}, {31, 65, 33}, {2, 20, 3000}, {20, 9, 5000}, {3, 3, 0}, {130, 260, 40},
    };
    for (int64_t i = 0; i < COUNT(products); i++)
        for (int t = 0; t < 4; t++) {
            const int64_t *p = products[i];
            CASE(FN(try_matmul)(p[0], p[1], p[2], t & 1, t >> 1, (i + t) % 3 != 0, (i + t) % 2, (int)((3 * i + t) % 9)),
                 "matmul%d %dx%dx%d %s", bits, (int)p[0], (int)p[1], (int)p[2],
                 (const char *[]){"nn", "tn", "nt", "tt"}[t]);
        }
    static const int64_t sums[][2] = {{5000, 20}, {1, 3}, {257, 65}, {0, 4}, {600, 130}};
    for (int64_t i = 0; i < COUNT(sums); i++)
        CASE(FN(try_sum_rows)(sums[i][0], sums[i][1]), "sum_rows%d %dx%d", bits, (int)sums[i][0], (int)sums[i][1]);
    for (int64_t i = 0; i < COUNT(CONVOLUTIONS); i++) {
        shape s = CONVOLUTIONS[i];
        int64_t n = i % 3 + 1;
        CASE(FN(try_conv)(s, n, i % 4 != 3, i % 2, (int)(i % 9)), "conv%d " SHAPE_FORMAT, bits, SHAPE_NUMBERS(s, n));
        if (i % 3 == 0)
            CASE(FN(try_im2col)(s, n), "im2col%d " SHAPE_FORMAT, bits, SHAPE_NUMBERS(s, n));
    }
    /* a long sum over the batch: partial sums of the kernel's gradient */
    static const shape batches[] = {
        {12, 12, 3, 3, 3, 1, 1, 1, 1, 20, 1, 1}, {8, 8, 16, 3, 3, 1, 1, 1, 1, 16, 1, 1}, {14, 14, 1, 5, 5, 1, 1, 1, 1, 10, 1, 0},
        {12, 12, 10, 5, 5, 1, 1, 1, 1, 20, 1, 0}, {9, 8, 7, 3, 2, 2, 1, 1, 2, 10, 1, 1}, {5, 4, 2, 2, 5, 1, 2, 2, 1, 5, 1, 1},
    };
    for (int64_t i = 0; i < COUNT(batches); i++)
        CASE(FN(try_conv)(batches[i], 33, 1, 0, 1), "conv%d " SHAPE_FORMAT, bits, SHAPE_NUMBERS(batches[i], 33));
    const shape tiles = {13, 13, 64, 3, 3, 1, 1, 1, 1, 64, 1, 1}; /* more than one block sum of Winograd's tiles */
    CASE(FN(try_conv)(tiles, 9, 1, 0, 1), "conv%d " SHAPE_FORMAT, bits, SHAPE_NUMBERS(tiles, 9));
    for (int64_t i = 0; i < COUNT(POOLS); i++)
        CASE(FN(try_pool)(POOLS[i], i % 3 + 1), "pool%d " SHAPE_FORMAT, bits, SHAPE_NUMBERS(POOLS[i], i % 3 + 1));
    static const int64_t globals[][3] = {{3, 49, 33}, {5, 1, 4}, {2, 700, 7}, {9, 300, 20}};
    for (int64_t i = 0; i < COUNT(globals); i++)
        CASE(FN(try_global_pool)(globals[i][0], globals[i][1], globals[i][2]), "global_pool%d %dx%dx%d", bits,
             (int)globals[i][0], (int)globals[i][1], (int)globals[i][2]);
    static const shape volumes[] = {
        {5, 6, 3, 3, 3, 1, 1, 1, 1, 20, 1, 1}, {7, 5, 17, 2, 3, 2, 2, 1, 1, 9, 1, 0}, {6, 7, 4, 3, 2, 1, 3, 2, 1, 34, 2, 1},
    };
    for (int64_t i = 0; i < COUNT(volumes); i++)
        CASE(FN(try_conv3d)(volumes[i], i + 1, i != 1, (int)i), "conv3d%d " SHAPE_FORMAT, bits,
             SHAPE_NUMBERS(volumes[i], i + 1));
    static const int64_t axes[][4] = {{3, 17, 5, 33}, {40, 9, 9, 3}, {2, 3, 7, 20}, {1, 700, 2, 5}};
    for (int64_t i = 0; i < COUNT(axes); i++)
        CASE(FN(try_bins)(axes[i][0], axes[i][1], axes[i][2], axes[i][3]), "bins%d %dx%dx%dx%d", bits, (int)axes[i][0],
             (int)axes[i][1], (int)axes[i][2], (int)axes[i][3]);
    CASE(FN(try_fold)(3, 17, 5, 33), "fold%d wide", bits);
    CASE(FN(try_fold)(40, 9, 1, 3), "fold%d narrow", bits);
    static const int64_t norms[][2] = {{1, 5}, {33, 1}, {256, 16}, {700, 70}, {1025, 33}, {300, 600}};
    for (int64_t i = 0; i < COUNT(norms); i++)
        CASE(FN(try_norm)(norms[i][0], norms[i][1], i != 2), "norm%d %dx%d", bits, (int)norms[i][0], (int)norms[i][1]);
    CASE(FN(try_norm_pooled)(3, 9, 21, 70), "norm_pooled%d odd", bits);
    CASE(FN(try_norm_pooled)(2, 4, 6, 530), "norm_pooled%d wide", bits);
    static const int64_t rows[][2] = {{1, 1}, {33, 5}, {70, 128}, {700, 70}, {1025, 33}, {9, 5000}, {300, 771}};
    for (int kind = NPDL_LAYER_NORM; kind <= NPDL_UNIT_NORM; kind++)
        for (int64_t i = 0; i < COUNT(rows); i++)
            CASE(FN(try_row_norm)(kind, rows[i][0], rows[i][1], i != 2), "row_norm%d %d %dx%d", bits, kind,
                 (int)rows[i][0], (int)rows[i][1]);
    static const int64_t grouped[][4] = {{1, 1, 1, 1}, {3, 49, 8, 5}, {2, 600, 32, 1}, {2, 300, 3, 33}, {40, 9, 7, 2}};
    for (int64_t i = 0; i < COUNT(grouped); i++)
        CASE(FN(try_group_norm)(grouped[i][0], grouped[i][1], grouped[i][2], grouped[i][3], i != 2),
             "group_norm%d %dx%dx%dx%d", bits, (int)grouped[i][0], (int)grouped[i][1], (int)grouped[i][2],
             (int)grouped[i][3]);
    for (int code = 0; code < NPDL_SOFTMAX; code++)
        for (int wild = 0; wild < 2; wild++)
            CASE(FN(try_activation)(code, wild ? 20011 : 40003, wild), "activation%d %d wild%d", bits, code, wild);
    for (int code = NPDL_SPARSEMAX + 1; code < NPDL_ACTIVATIONS; code++)
        for (int wild = 0; wild < 2; wild++)
            CASE(FN(try_activation)(code, wild ? 20011 : 40003, wild), "activation%d %d wild%d", bits, code, wild);
    static const int64_t slabs[][3] = {{1, 1, 1}, {7, 37, 1}, {2, 9001, 1}, {3, 37, 1}, {2, 300, 7}, {3, 5, 333}};
    for (int64_t i = 0; i < COUNT(slabs); i++)
        CASE((FN(try_rows)(slabs[i][0], slabs[i][1], slabs[i][2]), FN(try_rules)(slabs[i][0], slabs[i][1], slabs[i][2])),
             "rows%d %dx%dx%d", bits, (int)slabs[i][0], (int)slabs[i][1], (int)slabs[i][2]);
    for (int relu = 0; relu < 2; relu++)
        for (int wild = 0; wild < 2; wild++)
            CASE(FN(try_add)(relu, wild ? 20011 : 40003, wild), "add%d relu%d wild%d", bits, relu, wild);
    for (int function = 0; function < 7; function++)
        for (int wild = 0; wild < 2; wild++)
            CASE(FN(try_elementary)(function, 10007, wild), "elementary%d %d wild%d", bits, function, wild);
    static const int64_t softmaxes[][3] = {{300, 10, 1}, {3, 5000, 1}, {1, 1, 1}, {2, 700, 37}, {40, 65, 1}, {3, 9, 600}};
    for (int64_t i = 0; i < COUNT(softmaxes); i++)
        CASE(FN(try_softmax)(softmaxes[i][0], softmaxes[i][1], softmaxes[i][2]), "softmax%d %dx%dx%d", bits,
             (int)softmaxes[i][0], (int)softmaxes[i][1], (int)softmaxes[i][2]);
    static const int64_t losses[][2] = {{40001, 1}, {3, 5000}, {700, 37}, {1, 1}};
    for (int kind = NPDL_SQUARED; kind < NPDL_ELEMENT_COUNT; kind++)
        for (int64_t i = 0; i < COUNT(losses); i++)
            CASE(FN(try_loss)(kind, losses[i][0], losses[i][1]), "loss%d %d %dx%d", bits, kind, (int)losses[i][0],
                 (int)losses[i][1]);
    static const int64_t classes[][3] = {{3000, 1, 10}, {7, 20, 65}, {2, 1, 5000}, {1, 3, 2}, {5, 1000, 3}};
    for (int labels = 0; labels <= 64; labels += 32)
        for (int logits = 0; logits < 2; logits++)
            for (int64_t i = 0; i < COUNT(classes); i++)
                CASE(FN(try_cross_entropy)(labels, logits, classes[i][0], classes[i][1], classes[i][2]),
                     "cross_entropy%d labels%d logits%d %dx%dx%d", bits, labels, logits, (int)classes[i][0],
                     (int)classes[i][1], (int)classes[i][2]);
    for (int kind = NPDL_COSINE; kind <= NPDL_MULTI_LABEL_MARGIN; kind++)
        for (int64_t i = 0; i < COUNT(classes); i++)
            CASE(FN(try_row_loss)(kind, classes[i][0], classes[i][1], classes[i][2]), "row_loss%d %d %dx%dx%d", bits, kind,
                 (int)classes[i][0], (int)classes[i][1], (int)classes[i][2]);
    CASE(FN(try_several)(300, 37), "several%d short", bits);
    CASE(FN(try_several)(3, 5000), "several%d long", bits);
    CASE(FN(try_semi_hard)(50, 33), "semi_hard%d", bits);
    CASE(FN(try_power)(40001), "power%d", bits);
    CASE(FN(try_rounding)(40001), "rounding%d", bits);
    CASE(FN(try_update)(5003), "update%d", bits);
    CASE(FN(try_ctc)(7, 50, 30, 12), "ctc%d", bits);
    CASE(FN(try_shape)(3, 70, 33), "shape%d small", bits);
    CASE(FN(try_shape)(2, 300, 129), "shape%d large", bits);
    CASE(FN(try_interpolate)(3, 19, 23, 33, 38, 46), "interpolate%d up", bits);
    CASE(FN(try_interpolate)(3, 70, 61, 5, 31, 33), "interpolate%d down", bits);
    for (int kind = NPDL_FILL_CONSTANT; kind <= NPDL_FILL_WRAP; kind++) {
        CASE(FN(try_image)(3, 40, 31, 17, 70, 60, 1, kind), "image%d bilinear %d", bits, kind);
        CASE(FN(try_image)(2, 9, 50, 300, 12, 11, 0, kind), "image%d nearest %d", bits, kind);
    }
    CASE(FN(try_embedding)(40, 65, 700, 0), "embedding%d narrow", bits);
    CASE(FN(try_embedding)(900, 200, 300, 1), "embedding%d wide", bits);
    CASE(FN(try_dropout)(3, 1, 40001, 0, 0, 0), "dropout%d long", bits);
    CASE(FN(try_dropout)(700, 7, 9, 0, 0, 0), "dropout%d short", bits);
    CASE(FN(try_dropout)(5, 60, 70, 2, 0, 1), "dropout%d rows repeated", bits);
    CASE(FN(try_dropout)(5, 60, 7, 2, 1, 0), "dropout%d columns repeated", bits);
    for (int kind = 0; kind < 4; kind++) {
        CASE(FN(try_attention)(kind, 3, 70, 70, 4, 2, 33, 20), "attention%d %d long", bits, kind);
        CASE(FN(try_attention)(kind, 2, 9, 300, 2, 2, 5, 270), "attention%d %d wide", bits, kind);
    }
}

/* ---- a random case */

static shape FN(random_shape)(int groups) {
    static const int64_t channels[] = {1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 32, 33, 48, 64, 65};
    for (;;) {
        shape s = {
            .h = between(1, 17), .w = between(1, 17), .c = channels[between(0, 15)], .kh = between(1, 5),
            .kw = between(1, 5), .sh = between(1, 3), .sw = between(1, 3), .dh = between(1, 2), .dw = between(1, 2),
            .f = channels[between(0, 15)], .groups = 1, .same = (int)between(0, 1),
        };
        if (between(0, 2) == 0) s.kh = s.kw = 3, s.sh = s.sw = s.dh = s.dw = 1;
        if (groups && between(0, 3) == 0) {
            s.groups = between(1, 4);
            s.c = s.groups * between(1, 9), s.f = s.groups * between(1, 20);
        }
        if (s.same || ((s.kh - 1) * s.dh < s.h && (s.kw - 1) * s.dw < s.w)) return s;
    }
}

static int64_t FN(random_size)(void) {
    static const int64_t top[] = {4, 17, 40, 130, 300};
    return between(1, top[between(0, 4)]);
}

static void FN(random_case)(void) {
    const int bits = 8 * sizeof(REAL), kind = (int)between(0, 26);
    const int64_t m = FN(random_size)(), n = FN(random_size)(), k = FN(random_size)() * (between(0, 9) ? 1 : 10);
    const int a = (int)between(0, 1), b = (int)between(0, 1), c = (int)between(0, 1), code = (int)between(0, 8);
    const int64_t images = kind == 3 ? between(0, 40) : between(0, 5);
    const shape s = FN(random_shape)(kind != 4);
    switch (kind) {
    case 0: CASE(FN(try_matmul)(m, n, k, a, b, c, code % 2, code), "matmul%d %dx%dx%d ta%d tb%d bias%d act%d", bits, (int)m,
                 (int)n, (int)k, a, b, c, code); break;
    case 1: CASE(FN(try_sum_rows)(m * 9, n), "sum_rows%d %dx%d", bits, (int)m * 9, (int)n); break;
    case 2: case 3: CASE(FN(try_conv)(s, images, a, b, code), "conv%d " SHAPE_FORMAT " bias%d z%d act%d", bits,
                         SHAPE_NUMBERS(s, images), a, b, code); break;
    case 4: CASE(FN(try_pool)(s, images), "pool%d " SHAPE_FORMAT, bits, SHAPE_NUMBERS(s, images)); break;
    case 5: CASE(FN(try_im2col)(s, images), "im2col%d " SHAPE_FORMAT, bits, SHAPE_NUMBERS(s, images)); break;
    case 6: CASE((FN(try_norm)(m * 3, n, a), FN(try_norm_pooled)(images, m / 9 + 1, code + 1, n)), "norm%d %dx%d affine%d",
                 bits, (int)m * 3, (int)n, a); break;
    case 7: CASE(FN(try_activation)(code, m * n, a), "activation%d %d %d wild%d", bits, code, (int)(m * n), a); break;
    case 8: CASE(FN(try_softmax)(m, n, a ? 1 : between(1, 20)), "softmax%d %dx%d row%d", bits, (int)m, (int)n, a); break;
    case 9: CASE(FN(try_loss)((int)(k % NPDL_ELEMENT_COUNT), m, n), "loss%d %d %dx%d", bits,
                 (int)(k % NPDL_ELEMENT_COUNT), (int)m, (int)n); break;
    case 10: CASE(FN(try_cross_entropy)(32 * (code % 3), a, m, images + 1, n), "cross_entropy%d labels%d logits%d %dx%dx%d",
                  bits, 32 * (code % 3), a, (int)m, (int)images + 1, (int)n); break;
    case 11: CASE(FN(try_dropout)(images, m, n, 2 * a, b, b ? 0 : c), "dropout%d %dx%dx%d %d %d %d", bits, (int)images,
                  (int)m, (int)n, a, b, c); break;
    case 12: CASE(FN(try_add)(a, m * n, b), "add%d relu%d %d wild%d", bits, a, (int)(m * n), b); break;
    case 13: CASE(FN(try_shape)(images, m, n), "shape%d %dx%dx%d", bits, (int)images, (int)m, (int)n); break;
    case 14: CASE(FN(try_embedding)(m, n, images * m, a), "embedding%d %dx%d %d wide%d", bits, (int)m, (int)n,
                  (int)(images * m), a); break;
    case 15: CASE(FN(try_row_norm)(code % 3, m, k, a), "row_norm%d %d %dx%d affine%d", bits, code % 3, (int)m, (int)k, a);
        break;
    case 26: CASE(FN(try_rnn)((int)(m % 4), images, n % 40, k % 70 + 1, a, b, code), "rnn%d %d %dx%dx%d masked%d keep%d act%d",
                  bits, (int)(m % 4), (int)images, (int)(n % 40), (int)(k % 70 + 1), a, b, code); break;
    case 21: CASE(FN(try_row_loss)(code % (NPDL_MULTI_LABEL_MARGIN + 1), m, images + 1, n), "row_loss%d %d %dx%dx%d", bits,
                  code % (NPDL_MULTI_LABEL_MARGIN + 1), (int)m, (int)images + 1, (int)n); break;
    case 22: CASE(FN(try_several)(m, n), "several%d %dx%d", bits, (int)m, (int)n); break;
    case 23: CASE(FN(try_ctc)(images, m, code + 2, n % 40), "ctc%d %dx%dx%d %d", bits, (int)images, (int)m, code + 2,
                  (int)n % 40); break;
    case 16: CASE(FN(try_group_norm)(images, k, code + 1, m % 20 + 1, a), "group_norm%d %dx%dx%dx%d affine%d", bits,
                  (int)images, (int)k, code + 1, (int)m % 20 + 1, a); break;
    case 17: CASE(FN(try_conv3d)(s, images, a, code), "conv3d%d " SHAPE_FORMAT " bias%d act%d", bits,
                  SHAPE_NUMBERS(s, images), a, code); break;
    case 18: CASE(FN(try_bins)(images, m, n, k % 70 + 1), "bins%d %dx%dx%dx%d", bits, (int)images, (int)m, (int)n,
                  (int)k % 70 + 1); break;
    case 19: CASE(FN(try_fold)(images, m, n, k % 70 + 1), "fold%d %dx%dx%dx%d", bits, (int)images, (int)m, (int)n,
                  (int)k % 70 + 1); break;
    case 20: CASE(FN(try_attention)(code % 4, images, m, n, (a + 1) * (b + 1), a + 1, k, code + 1),
                  "attention%d %d %dx%dx%d %d %d %d", bits, code % 4, (int)images, (int)m, (int)n, a, b, (int)k); break;
    case 24: CASE(FN(try_interpolate)(images, s.h, s.w, s.c, m, n), "interpolate%d %dx%dx%dx%d to %dx%d", bits, (int)images,
                  (int)s.h, (int)s.w, (int)s.c, (int)m, (int)n); break;
    case 25: CASE(FN(try_image)(images, s.h, s.w, s.c, m % 40 + 1, n % 40 + 1, a, code % 4), "image%d %dx%dx%dx%d %d %d",
                  bits, (int)images, (int)s.h, (int)s.w, (int)s.c, a, code % 4); break;
    }
}

#endif
