/* One vector type for the number type REAL, in the width of the instruction set that this file is compiled for.
 *
 * Included once for REAL = float and once for REAL = double (see engine.h). Arithmetic on VEC is C's own + - * / and
 * comparisons, lane by lane; nothing is fused or reordered by the compiler (-ffp-contract=off, no -ffast-math), so a
 * fused multiply-add must be written: FMA for vectors, FMA1 for one number. Then all builds with FMA give equal bits.
 *
 *     FN(name)            name_f32 or name_f64
 *     VEC, IVEC, INT      vector of VL numbers; of VL integers of the same width (a comparison's result); one of these
 *     LD(p), ST(p, v)     load and store, any alignment
 *     LDN(p, n), STN(p, v, n)     the first n <= VL lanes only; lanes that are not loaded are 0
 *     BC(s)               s in every lane
 *     SELECT(m, a, b)     a where the mask m is all ones, b where it is 0
 *     MAX(a, b), MIN(a, b)        a > b ? a : b and a < b ? a : b: b where one is NaN, so MAX(BC(0), b) keeps NaN
 *     RELU(v)             max(v, 0), +0 for −0: then ReLU before and after max-pooling give the same bits
 *     FMA(a, b, c)        a·b + c, rounded once (twice where the machine has no FMA)
 *     ADD_PRODUCT(s, a, b) s = FMA(a, b, s), for the sums of a register tile
 *     ANY(mask)           whether a comparison holds anywhere
 *     LOOKUP(table, i)    table[i mod 16], floats only; LOOKUP8: i mod 8
 *
 * Register tile of the matrix product: NPDL_MR rows x 2 vectors, all accumulators in registers.
 */
#ifndef NPDL_SIMD_H
#define NPDL_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__) && defined(__FMA__)
#include <immintrin.h>
#define NPDL_VECTOR_BYTES 64
#define NPDL_MR 12
#define NPDL_HAS_FMA 1
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define NPDL_VECTOR_BYTES 32
#define NPDL_MR 6
#define NPDL_HAS_FMA 1
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define NPDL_VECTOR_BYTES 16
#define NPDL_MR 8
#define NPDL_HAS_FMA 1
#else
#define NPDL_VECTOR_BYTES 16
#define NPDL_MR 4
#define NPDL_HAS_FMA 0
#endif

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define NPDL_HAS_SHUFFLE 1 /* GCC from 12 on, and clang */
#endif
#endif

#if defined NPDL_PART && !NPDL_PART /* see engine.h */
#define NPDL_PART_SUFFIX(suffix) NPDL_JOIN(suffix, _type)
#else
#define NPDL_PART_SUFFIX(suffix) suffix
#endif
#define NPDL_INLINE static inline __attribute__((always_inline, unused))
#define NPDL_JOIN_(a, b) a##b
#define NPDL_JOIN(a, b) NPDL_JOIN_(a, b)
#define FN(name) NPDL_JOIN(name, NPDL_SUFFIX)
#define VEC FN(npdl_vec)
#define IVEC FN(npdl_ivec)
#define VL ((int)(NPDL_VECTOR_BYTES / sizeof(REAL)))
#define LD(p) (*(const VEC *)(p))
#define ST(p, v) (*(VEC *)(p) = (v))
#define LDN(p, n) FN(npdl_load_n)(p, n)
#define STN(p, v, n) FN(npdl_store_n)(p, v, n)
#define BC(s) FN(npdl_broadcast)(s)
#define FMA(a, b, c) FN(npdl_fma)(a, b, c)
#define FMA1(a, b, c) FN(npdl_fma1)(a, b, c)
#define ADD_PRODUCT(sum, a, b) FN(npdl_add_product)(&(sum), a, b)
#define ANY(mask) FN(npdl_any)(mask)
#define LOOKUP(table, i) FN(npdl_lookup)(table, i)
#define LOOKUP8(table, i) FN(npdl_lookup8)(table, i)
#define MAX(a, b) FN(npdl_maximum)(a, b)
#define RELU(v) (MAX(BC(0), v) + BC(0))
#define MIN(a, b) FN(npdl_minimum)(a, b)
#define SELECT(m, a, b) ((VEC)(((m) & (IVEC)(a)) | (~(m) & (IVEC)(b))))

#endif

/* ---- from here on once a number type */

#undef REAL
#undef INT
#undef NPDL_SUFFIX
#if NPDL_REAL_BITS == 32
#define REAL float
#define INT int32_t
#define NPDL_SUFFIX NPDL_PART_SUFFIX(_f32)
#else
#define REAL double
#define INT int64_t
#define NPDL_SUFFIX NPDL_PART_SUFFIX(_f64)
#endif

typedef REAL VEC __attribute__((vector_size(NPDL_VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));
typedef INT IVEC __attribute__((vector_size(NPDL_VECTOR_BYTES), aligned(sizeof(REAL)), may_alias));

#if NPDL_REAL_BITS == 32
#define NPDL_PICK(single, double_) single
#else
#define NPDL_PICK(single, double_) double_
#endif

NPDL_INLINE VEC BC(REAL s) {
#if NPDL_VECTOR_BYTES == 64
    return (VEC)NPDL_PICK(_mm512_set1_ps, _mm512_set1_pd)(s);
#elif NPDL_VECTOR_BYTES == 32
    return (VEC)NPDL_PICK(_mm256_set1_ps, _mm256_set1_pd)(s);
#else
    VEC v = {0}; /* all of it is written below, which GCC does not see with -O1 */
    for (int i = 0; i < VL; i++) v[i] = s;
    return v;
#endif
}

NPDL_INLINE VEC FMA(VEC a, VEC b, VEC c) {
#if NPDL_VECTOR_BYTES == 64
    return (VEC)NPDL_PICK(_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c),
                          _mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c));
#elif NPDL_VECTOR_BYTES == 32
    return (VEC)NPDL_PICK(_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c),
                          _mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c));
#elif NPDL_HAS_FMA
    return (VEC)NPDL_PICK(vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b),
                          vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b));
#else
    return a * b + c;
#endif
}

/* As an instruction of its own, since GCC takes forms of it that write to a factor, and copies the sum back each time. */
NPDL_INLINE void FN(npdl_add_product)(VEC *sum, VEC a, VEC b) {
#if NPDL_VECTOR_BYTES == 64
    __asm__(NPDL_PICK("vfmadd231ps", "vfmadd231pd") " %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
#elif NPDL_VECTOR_BYTES == 32
    __asm__(NPDL_PICK("vfmadd231ps", "vfmadd231pd") " %2, %1, %0" : "+x"(*sum) : "x"(a), "x"(b));
#else
    *sum = FMA(a, b, *sum);
#endif
}

NPDL_INLINE VEC MAX(VEC a, VEC b) {
#if NPDL_VECTOR_BYTES == 64
    return (VEC)NPDL_PICK(_mm512_max_ps((__m512)a, (__m512)b), _mm512_max_pd((__m512d)a, (__m512d)b));
#elif NPDL_VECTOR_BYTES == 32
    return (VEC)NPDL_PICK(_mm256_max_ps((__m256)a, (__m256)b), _mm256_max_pd((__m256d)a, (__m256d)b));
#else
    return SELECT(a > b, a, b);
#endif
}

NPDL_INLINE VEC MIN(VEC a, VEC b) {
#if NPDL_VECTOR_BYTES == 64
    return (VEC)NPDL_PICK(_mm512_min_ps((__m512)a, (__m512)b), _mm512_min_pd((__m512d)a, (__m512d)b));
#elif NPDL_VECTOR_BYTES == 32
    return (VEC)NPDL_PICK(_mm256_min_ps((__m256)a, (__m256)b), _mm256_min_pd((__m256d)a, (__m256d)b));
#else
    return SELECT(a < b, a, b);
#endif
}

NPDL_INLINE REAL FMA1(REAL a, REAL b, REAL c) {
#if NPDL_HAS_FMA
    return NPDL_PICK(__builtin_fmaf, __builtin_fma)(a, b, c);
#else
    return a * b + c;
#endif
}

#if NPDL_VECTOR_BYTES == 64

NPDL_INLINE VEC LDN(const REAL *p, int64_t n) {
    return (VEC)NPDL_PICK(_mm512_maskz_loadu_ps, _mm512_maskz_loadu_pd)(NPDL_PICK(0xffff, 0xff) >> (VL - n), p);
}

NPDL_INLINE void STN(REAL *p, VEC v, int64_t n) {
    NPDL_PICK(_mm512_mask_storeu_ps(p, 0xffff >> (VL - n), (__m512)v),
              _mm512_mask_storeu_pd(p, 0xff >> (VL - n), (__m512d)v));
}

#elif NPDL_VECTOR_BYTES == 32

NPDL_INLINE __m256i FN(npdl_first_lanes)(int64_t n) {
    static const int64_t mask[8] = {-1, -1, -1, -1}; /* a vector of ones, a vector of zeros */
    return _mm256_loadu_si256((const __m256i *)((const REAL *)mask + VL - n));
}

NPDL_INLINE VEC LDN(const REAL *p, int64_t n) {
    __m256i mask = FN(npdl_first_lanes)(n);
    return (VEC)NPDL_PICK(_mm256_maskload_ps, _mm256_maskload_pd)(p, mask);
}

NPDL_INLINE void STN(REAL *p, VEC v, int64_t n) {
    __m256i mask = FN(npdl_first_lanes)(n);
    NPDL_PICK(_mm256_maskstore_ps(p, mask, (__m256)v), _mm256_maskstore_pd(p, mask, (__m256d)v));
}

#else

NPDL_INLINE VEC LDN(const REAL *p, int64_t n) {
    REAL lanes[NPDL_VECTOR_BYTES / sizeof(REAL)] = {0};
    memcpy(lanes, p, n * sizeof(REAL));
    return LD(lanes);
}

NPDL_INLINE void STN(REAL *p, VEC v, int64_t n) {
    REAL lanes[NPDL_VECTOR_BYTES / sizeof(REAL)];
    ST(lanes, v);
    memcpy(p, lanes, n * sizeof(REAL));
}

#endif

NPDL_INLINE int ANY(IVEC mask) {
#if NPDL_VECTOR_BYTES == 64
    return _mm512_test_epi64_mask((__m512i)mask, (__m512i)mask) != 0;
#elif NPDL_VECTOR_BYTES == 32
    return !_mm256_testz_si256((__m256i)mask, (__m256i)mask);
#else
    INT any = 0;
    for (int i = 0; i < VL; i++) any |= mask[i];
    return any != 0;
#endif
}

#if NPDL_REAL_BITS == 32

NPDL_INLINE VEC LOOKUP(const REAL *table, IVEC i) {
#if NPDL_VECTOR_BYTES == 64
    return (VEC)_mm512_permutexvar_ps((__m512i)i, _mm512_loadu_ps(table));
#elif NPDL_VECTOR_BYTES == 32
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)i);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), (__m256i)i);
    return (VEC)_mm256_blendv_ps(low, high, (__m256)(i << 28));
#elif defined(__aarch64__) && defined(__ARM_NEON)
    uint32x4_t bytes = ((uint32x4_t)i & 15) * 0x04040404u + 0x03020100u;
    return (VEC)vqtbl4q_u8(vld1q_u8_x4((const uint8_t *)table), (uint8x16_t)bytes);
#else
    VEC v;
    for (int j = 0; j < VL; j++) v[j] = table[i[j] & 15];
    return v;
#endif
}

NPDL_INLINE VEC LOOKUP8(const REAL *table, IVEC i) {
#if NPDL_VECTOR_BYTES == 64
    return (VEC)_mm512_permutexvar_ps((__m512i)i, _mm512_broadcast_f32x8(_mm256_loadu_ps(table)));
#elif NPDL_VECTOR_BYTES == 32
    return (VEC)_mm256_permutevar8x32_ps(_mm256_loadu_ps(table), (__m256i)i);
#elif defined(__aarch64__) && defined(__ARM_NEON)
    uint32x4_t bytes = ((uint32x4_t)i & 7) * 0x04040404u + 0x03020100u;
    return (VEC)vqtbl2q_u8(vld1q_u8_x2((const uint8_t *)table), (uint8x16_t)bytes);
#else
    VEC v;
    for (int j = 0; j < VL; j++) v[j] = table[i[j] & 7];
    return v;
#endif
}

#endif

#undef NPDL_PICK
