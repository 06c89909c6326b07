/* All kernels of one build: every family's header, once for float and once for double.
 *
 * A family's header defines FN(npdl_...) functions on REAL numbers; to add one, put its #include in the list below.
 */
#ifndef NPDL_REAL_BITS
#ifndef NPDL_ENGINE_H
#define NPDL_ENGINE_H

/* A module is compiled in three parts, at once: NPDL_PART=32 and 64, engine.c with the kernels of one number type, and 0,
 * what Cython made, which calls them and so needs little optimization. Part 0 reads their source for their types alone:
 * its own copies have another name, are never called, and so never compiled. Without NPDL_PART all is one part.
 */
#if defined NPDL_PART && NPDL_PART
#define NPDL_API __attribute__((visibility("hidden"))) /* what Cython calls */
#else
#define NPDL_API static
#endif

#include "pool.h"

/* npdl/kernels/geometry.py's Window2D, field by field. */
typedef struct {
    int64_t in_h, in_w, channels, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
    int64_t out_h, out_w, filters, groups;
} npdl_window;

#if NPDL_PART + 0 != 64
#define NPDL_REAL_BITS 32
#include "engine.h"
#undef NPDL_REAL_BITS
#endif
#if NPDL_PART + 0 != 32
#define NPDL_REAL_BITS 64
#include "engine.h"
#undef NPDL_REAL_BITS
#endif

#if defined NPDL_PART && !NPDL_PART /* Cython's kernels, in the other two parts */
#define NPDL_EACH_KERNEL(X) \
    X(activation) X(activation_grad) X(adam) X(adamw) X(add) X(affine) X(attention) X(average_pool2d) \
    X(average_pool2d_grad) X(batch_norm) X(batch_norm_grad) X(batch_norm_pooled) X(batch_norm_pooled_grad) \
    X(batch_norm_statistics) X(bins) X(circle) X(col2im) X(combine) X(conv2d) X(conv2d_dkernel) X(conv2d_dx) X(conv2d_pooled) \
    X(conv2d_pooled_dkernel) X(conv2d_transpose) X(conv3d) X(conv3d_dkernel) X(conv3d_dx) X(conv3d_transpose) \
    X(cross_entropy) X(ctc) X(dropout) X(elementary) X(embedding) X(embedding_grad) X(fold) X(global_pool) X(glu) \
    X(group_norm) X(group_norm_grad) X(gru_dkernel) X(im2col) X(interpolate) X(loss) X(match_grad) X(matmul) \
    X(max_pool2d) X(max_pool2d_grad) X(move_all) X(moving_average) X(norm_limit) X(not_negative) X(pair_loss) \
    X(penalty) X(penalty_grad) X(powers) X(prelu) X(recolor) X(repeat_grad) X(rescale) X(rnn_dkernels) X(rnn_steps) \
    X(rnn_steps_grad) X(rounded) X(row_activation) X(row_loss) X(row_norm) X(row_norm_grad) X(semi_hard) X(sgd) \
    X(softmax) X(sum_rows) X(triplet) X(unpool) X(weighted_sum) X(winograd_conv2d) X(winograd_dkernel) X(winograd_dx)
#define NPDL_DECLARE(name) \
    extern __typeof__(npdl_##name##_f32_type) npdl_##name##_f32; \
    extern __typeof__(npdl_##name##_f64_type) npdl_##name##_f64;
NPDL_EACH_KERNEL(NPDL_DECLARE)
typedef npdl_attend_f32_type npdl_attend_f32;
typedef npdl_attend_f64_type npdl_attend_f64;
#endif

/* The x86-64 level of this machine, 2 to 4; 0 on other processors. */
static int npdl_cpu_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2")) return 2;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl")) return 3;
    return 4;
#else
    return 0;
#endif
}

#endif
#else

#include "simd.h"
/* Families. The activations come before those that end with one. */
#include "elementary.h"
#include "more_activations.h"
#include "activation.h"
#include "row_activations.h"
#include "regularize.h"
#include "matmul.h"
#include "rnn.h"
#include "pooling.h"
#include "pooled.h"
#include "winograd.h"
#include "winograd_sum.h"
#include "depthwise.h"
#include "narrow.h"
#include "conv.h"
#include "norm.h"
#include "layer_norm.h"
#include "group_norm.h"
#include "adaptive.h"
#include "merge.h"
#include "shape.h"
#include "interpolate.h"
#include "image.h"
#include "color.h"
#include "embed.h"
#include "dropout.h"
#include "attention.h"
#include "element_loss.h"
#include "power.h"
#include "rounding.h"
#include "loss.h"
#include "row_loss.h"
#include "triplets.h"
#include "ctc.h"
#include "update.h"

#endif
