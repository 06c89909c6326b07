/* All kernels of one build: every family's header, once for float and once for double.
 *
 * A family's header defines FN(npdl_...) functions on REAL numbers; to add one, put its #include in the list below.
 */
#ifndef NPDL_REAL_BITS
#ifndef NPDL_ENGINE_H
#define NPDL_ENGINE_H

#include "pool.h"

/* npdl/kernels/geometry.py's Window2D, field by field. */
typedef struct {
    int64_t in_h, in_w, channels, kernel_h, kernel_w, stride_h, stride_w, pad_top, pad_left, dilation_h, dilation_w;
    int64_t out_h, out_w, filters, groups;
} npdl_window;

#define NPDL_REAL_BITS 32
#include "engine.h"
#undef NPDL_REAL_BITS
#define NPDL_REAL_BITS 64
#include "engine.h"
#undef NPDL_REAL_BITS

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
#include "winograd.h"
#include "winograd_sum.h"
#include "depthwise.h"
#include "narrow.h"
#include "conv.h"
#include "norm.h"
#include "layer_norm.h"
#include "group_norm.h"
#include "pooling.h"
#include "adaptive.h"
#include "merge.h"
#include "shape.h"
#include "interpolate.h"
#include "image.h"
#include "embed.h"
#include "dropout.h"
#include "attention.h"
#include "element_loss.h"
#include "power.h"
#include "loss.h"
#include "row_loss.h"
#include "triplets.h"
#include "ctc.h"

#endif
