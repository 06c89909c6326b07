/* The matrix product in six steps, from the textbook's three loops to the register tile; each is timed and checked.
 *
 *     gcc -O2 -march=native -ffp-contract=off kernels/lesson/matmul_steps.c -o steps -lm && ./steps
 *
 * All compute C = A B for square float matrices on one thread. kernels/README.md tells what each step changes and why.
 */
#define _POSIX_C_SOURCE 200112L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N 960 /* a multiple of every block below; the kernels of npdl take any size */

#if defined(__AVX512F__)
enum { LANES = 16, ROWS = 12 };
#elif defined(__AVX2__)
enum { LANES = 8, ROWS = 6 };
#else
enum { LANES = 4, ROWS = 8 };
#endif
enum { COLUMNS = 2 * LANES, KB = 240, MB = 96, NB = 192 };

typedef float vec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#if defined(__AVX512F__)
#include <immintrin.h>
#define FMA(a, b, c) ((vec)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define FMA(a, b, c) ((vec)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#define FMA(a, b, c) ((vec)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

/* 1. The definition: C[i, j] = Σ_k A[i, k] B[k, j]. The inner loop walks down a column of B. */
static void ijk(const float *a, const float *b, float *c) {
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            float sum = 0;
            for (int k = 0; k < N; k++) sum = fmaf(a[i * N + k], b[k * N + j], sum);
            c[i * N + j] = sum;
        }
}

/* 2. Another order of the loops: the inner one walks along rows of B and C, and its iterations are independent. */
static void ikj(const float *a, const float *b, float *c) {
    memset(c, 0, sizeof(float) * N * N);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            for (int j = 0; j < N; j++) c[i * N + j] = fmaf(a[i * N + k], b[k * N + j], c[i * N + j]);
}

/* 3. The same inner loop in vectors, written out. */
static void ikj_vectors(const float *a, const float *b, float *c) {
    memset(c, 0, sizeof(float) * N * N);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++) {
            vec x = a[i * N + k] - (vec){0};
            for (int j = 0; j < N; j += LANES)
                *(vec *)(c + i * N + j) = FMA(x, *(const vec *)(b + k * N + j), *(vec *)(c + i * N + j));
        }
}

/* 4. In blocks: KB rows and NB columns of B are used for every row of A before the next block is touched. */
static void blocked(const float *a, const float *b, float *c) {
    memset(c, 0, sizeof(float) * N * N);
    for (int k0 = 0; k0 < N; k0 += KB)
        for (int j0 = 0; j0 < N; j0 += NB)
            for (int i = 0; i < N; i++)
                for (int k = k0; k < k0 + KB; k++) {
                    vec x = a[i * N + k] - (vec){0};
                    for (int j = j0; j < j0 + NB; j += LANES)
                        *(vec *)(c + i * N + j) = FMA(x, *(const vec *)(b + k * N + j), *(vec *)(c + i * N + j));
                }
}

/* The register tile: ROWS x 2 vectors of C stay in registers over all of a block's k. */
static inline __attribute__((always_inline)) void tile(const float *a, int a_step, const float *b, int b_step, float *c) {
    vec sum[ROWS][2];
    #pragma GCC unroll 12
    for (int i = 0; i < ROWS; i++) sum[i][0] = sum[i][1] = (vec){0};
    for (int k = 0; k < KB; k++, b += b_step) {
        vec left = *(const vec *)b, right = *(const vec *)(b + LANES);
        #pragma GCC unroll 12
        for (int i = 0; i < ROWS; i++) {
            vec x = a[i * a_step + k] - (vec){0};
            sum[i][0] = FMA(x, left, sum[i][0]);
            sum[i][1] = FMA(x, right, sum[i][1]);
        }
    }
    #pragma GCC unroll 12
    for (int i = 0; i < ROWS; i++) {
        *(vec *)(c + i * N) += sum[i][0];
        *(vec *)(c + i * N + LANES) += sum[i][1];
    }
}

/* 5. The tile on A and B where they lie. */
static void tiled(const float *a, const float *b, float *c) {
    memset(c, 0, sizeof(float) * N * N);
    for (int k0 = 0; k0 < N; k0 += KB)
        for (int j = 0; j < N; j += COLUMNS)
            for (int i = 0; i < N; i += ROWS) tile(a + i * N + k0, N, b + k0 * N + j, N, c + i * N + j);
}

/* 6. The same on copies: panels of B, COLUMNS wide and KB long, and MB rows of A, each in one piece of memory. */
static void packed(const float *a, const float *b, float *c) {
    static float panels[N / COLUMNS][KB * COLUMNS], rows[MB * (KB + 16)];
    memset(c, 0, sizeof(float) * N * N);
    for (int k0 = 0; k0 < N; k0 += KB) {
        for (int j = 0; j < N; j += COLUMNS)
            for (int k = 0; k < KB; k++)
                memcpy(panels[j / COLUMNS] + k * COLUMNS, b + (k0 + k) * N + j, COLUMNS * sizeof(float));
        for (int i0 = 0; i0 < N; i0 += MB) {
            for (int i = 0; i < MB; i++) memcpy(rows + i * (KB + 16), a + (i0 + i) * N + k0, KB * sizeof(float));
            for (int i = 0; i < MB; i += ROWS)
                for (int j = 0; j < N; j += COLUMNS)
                    tile(rows + i * (KB + 16), KB + 16, panels[j / COLUMNS], COLUMNS, c + (i0 + i) * N + j);
        }
    }
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(void) {
    static const struct { const char *name; void (*run)(const float *, const float *, float *); } steps[] = {
        {"1 three loops, i j k", ijk}, {"2 i k j", ikj}, {"3 i k j in vectors", ikj_vectors},
        {"4 in blocks", blocked}, {"5 register tile", tiled}, {"6 tile on packed blocks", packed},
    };
    float *memory;
    if (posix_memalign((void **)&memory, 64, 4 * sizeof(float) * N * N)) return 1;
    float *a = memory, *b = a + N * N, *c = b + N * N, *expected = c + N * N;
    for (int i = 0; i < N * N; i++) a[i] = (float)(i * 7 % 13 - 6), b[i] = (float)(i * 5 % 11 - 5); /* exact sums */
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        double best = 1e9;
        for (int repeat = 0; repeat < (s < 2 ? 2 : 10); repeat++) {
            double start = seconds();
            steps[s].run(a, b, c);
            double took = seconds() - start;
            best = took < best ? took : best;
        }
        if (s == 0) memcpy(expected, c, sizeof(float) * N * N);
        int same = !memcmp(c, expected, sizeof(float) * N * N);
        printf("%-26s %8.2f ms %7.2f GFLOP/s%s\n", steps[s].name, best * 1e3, 2e-9 * N * N * N / best,
               same ? "" : "   WRONG");
        if (!same) return 1;
    }
    return 0;
}
