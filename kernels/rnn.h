/* Recurrent layers: all steps of a sequence in one call. Formulas: npdl/kernels/reference/rnn.py.
 *
 * Arrays hold one step after the other, (T, N, ...). The part of the gates that comes from the input is there already,
 * one product for all steps; what is left of a step is a product with the recurrent kernel, and arithmetic on its
 * results. An LSTM makes that part, too, and dx: the step's x lies beside the state, x's kernel below the recurrent one,
 * and its columns of dz Wᵀ are blocks beside those of dz Rᵀ. So z, which is many times x, does not go to memory and back,
 * and where nobody reads the gates afterwards not even there.
 *
 * A block is NPDL_RNN_UNITS units with all their gates: it multiplies, and does the arithmetic on what lies in the first
 * cache, so that a step is one round through the pool, forward and backward; and a thread finds its part of the kernel,
 * packed once a call, in its own cache at every step. (GRU with reset_after=False needs two rounds.)
 *
 * The rows that are multiplied lie in a buffer of their own whose step is no power of two, forward the state (times the
 * mask of recurrent dropout), backward the gradients of the gates; there are two of each, one is read, one written.
 * A sum over k is made like those of matmul.h: blocks of NPDL_KB from zero, added in order.
 *
 * What limits a step (LSTM, 256 units, 32 rows, two cores with AVX-512): its product makes 110 GFLOP/s a core, and 133
 * where each thread multiplies rows of its own; half of the rows' numbers come from the other core's cache. To ask for
 * them, or for the lines that are written there, ahead of time does not help, nor do rows on places of 128 bytes, nor
 * huge pages.
 */
#ifndef NPDL_RNN_H
#define NPDL_RNN_H

#define NPDL_RNN_UNITS 32     /* a multiple of every build's NPDL_NW */
#define NPDL_RNN_ROWS 32      /* that the arithmetic works on at a time */
#define NPDL_RNN_SCRATCH 11   /* arrays of so many rows and units */
#define NPDL_RNN_ROOM 16      /* numbers behind each row of a buffer */
#define NPDL_RNN_GAP 80       /* numbers behind each scratch array: 32 rows of 32 floats are a page, and places that
                               * lie whole pages apart crowd into few cache sets, and loads there wait for stores */
#define NPDL_RNN_SUM_ROWS 2048 /* rows whose x and h are packed at a time, a multiple of NPDL_KB */
#define NPDL_RNN_SUM_COLUMNS 512 /* fewer are not made together; part of the bits */
#define NPDL_RNN_SMALL 65536  /* multiply-adds of a step that are not worth a second thread */

enum { NPDL_SIMPLE_RNN, NPDL_LSTM, NPDL_GRU, NPDL_GRU_BEFORE }; /* GRU_BEFORE: reset_after=False */
/* Scratch arrays of backward: a(z) of gate g is in g, its a' in NPDL_SLOPE + g. */
enum { NPDL_SLOPE = 4, NPDL_DH = 8, NPDL_STATE = 9, NPDL_STATE_SLOPE = 10 };

typedef struct {
    int kind, code[2], from_z[2];   /* activation and recurrent activation; whether their derivatives read z, not y */
    double constants[2][3];
    int64_t steps, rows, units;
    const void *kernel, *bias;      /* (U, G·U); of the product, (G·U,) or NULL */
    const uint8_t *mask;            /* (T, N) or NULL */
    const void *keep;               /* (N, U) recurrent dropout's mask, or NULL */
    void *z, *h, *c, *inner;        /* (T, N, G·U), (T + 1, N, U), the same for LSTM, (T, N, U) for GRU */
    void *dropped;                  /* (T, N, U): h · keep, NULL without keep */
    const void *dy;                 /* (T, N, U) or NULL: backward */
    void *dz, *dh, *dc, *dinner;    /* (T, N, G·U), (N, U), (N, U) for LSTM, (T, N, U) for GRU */
    /* LSTM, or NULL: z is not read, x W + bias is made here; it may be NULL where nobody reads the gates */
    int64_t width;                  /* D */
    const void *x, *input_kernel;   /* (T, N, D), (D, G·U) */
    void *y, *dx;                   /* (N, T, U) gets h[1:], (T, N, D) */
} npdl_rnn_call;

#endif

typedef struct {
    const npdl_rnn_call *p;
    const double (*constants)[3];
    int64_t gates, k, blocks, t; /* k: numbers in a row that is multiplied */
    int phase, backward;
    REAL *panels, *more;        /* of the kernels; `more`: of the last third, backward of GRU_BEFORE, or of x's, of LSTM */
    REAL *buffer[2], *second;   /* rows to multiply; of the second phase */
    int64_t step, second_step;  /* from row to row of these */
    REAL *carry;                /* (N, U): what dh gets past the product */
} FN(npdl_rnn);

/* The piece of the arrays that a block works on: rows r ... r + m − 1, units u ... u + w − 1. From one scratch array to
 * the next it is `size` numbers. */
typedef struct { int64_t r, m, u, w, size; } FN(npdl_patch);

/* For each vector of a patch: row i, n units from u + j on. */
#define NPDL_PATCH \
    for (int64_t i = 0; i < q.m; i++) \
        for (int64_t j = 0, n; n = npdl_min(q.w - j, VL), j < q.w; j += VL)
#define IN(p) (n == VL ? LD(p) : LDN(p, n))
#define OUT(p, v) \
    { \
        VEC v_ = v; \
        if (n == VL) ST(p, v_); \
        else STN(p, v_, n); \
    }
#define AT(array, t, width, column) \
    ((REAL *)(array) + ((t) * r->p->rows + q.r + i) * (width) + (column) + q.u + j) /* of (T, N, width) */
#define IN_BUFFER(array, row_step, column) ((array) + (q.r + i) * (row_step) + (column) + q.u + j)
#define S(number) (s + (number) * q.size + i * q.w + j) /* of a scratch array */
#define LIVE(t) (!r->p->mask || r->p->mask[(t) * r->p->rows + q.r + i])

/* Pieces of rows, of `pieces` gates each, that a step will read or write and that lie far apart, which is what processors
 * do not fetch by themselves. They are asked for while the product is made, some before each tile: a processor has a dozen
 * lines under way and waits where it is asked for more. */
typedef struct { const REAL *at; int64_t step, pieces; } FN(npdl_far);

/* A block's part of step t of an array (T, N, pieces · U) or NULL. */
#define NPDL_RNN_FAR(array, t, pieces) \
    {(array) ? (const REAL *)(array) + ((t) * r->p->rows + q.r) * (pieces) * r->p->units + q.u : NULL, \
     (pieces) * r->p->units, pieces}

static void FN(npdl_rnn_fetch)(const FN(npdl_far) *far, int64_t arrays, int64_t units, int64_t w, int64_t from,
                               int64_t to) {
    for (; arrays; arrays--, far++)
        for (int64_t i = from; far->at && i < to; i++)
            for (int64_t g = 0; g < far->pieces; g++)
                for (int64_t byte = 0; byte < w * (int64_t)sizeof(REAL); byte += 64)
                    __builtin_prefetch((const char *)(far->at + i * far->step + g * units) + byte, 0, 2);
}

/* s[g] = rows of a (k numbers each) times the columns of gate g0 + g, of `gates` packed ones, + bias; `arrays` far ones
 * come meanwhile. */
static void FN(npdl_rnn_product)(const FN(npdl_rnn) *r, const REAL *a, int64_t a_step, int64_t k, const REAL *panels,
                                 int64_t gates, int64_t g0, int64_t count, const REAL *bias, FN(npdl_patch) q, REAL *s,
                                 const FN(npdl_far) *far, int64_t arrays) {
    const int64_t each = NPDL_KB * NPDL_RNN_UNITS, blocks = npdl_ceil_div(k, NPDL_KB), units = r->p->units;
    const int64_t strips = npdl_ceil_div(q.m, NPDL_MR), mr = npdl_ceil_div(q.m, strips), tiles = blocks * count * strips;
    npdl_row row[NPDL_RNN_ROWS];
    for (int64_t i = 0; i < q.m; i++) row[i] = (npdl_row){i * a_step, i * q.w};
    a += q.r * a_step;
    panels += q.u / NPDL_RNN_UNITS * blocks * gates * each;
    for (int64_t kb = 0, tile = 0; kb < k; kb += NPDL_KB, panels += gates * each)
        for (int64_t g = g0; g < g0 + count; g++)
            for (int64_t i = 0; i < q.m; i += mr, tile++) {
                FN(npdl_rnn_fetch)(far, arrays, units, q.w, q.m * tile / tiles, q.m * (tile + 1) / tiles);
                FN(npdl_tiles)(a + kb, row + i, npdl_min(mr, q.m - i), NULL, npdl_min(k - kb, NPDL_KB),
                               panels + g * each, s + (g - g0) * q.size, q.w, kb > 0,
                               bias && kb + NPDL_KB >= k ? bias + g * units + q.u : NULL);
            }
}

static int64_t FN(npdl_rnn_panels)(int64_t units, int64_t k, int64_t gates) {
    return npdl_ceil_div(units, NPDL_RNN_UNITS) * npdl_ceil_div(k, NPDL_KB) * gates * NPDL_KB * NPDL_RNN_UNITS;
}

/* Packs the kernels' part of one block: forward as they are, gate by gate, that of x below the recurrent one; backward
 * transposed. */
static void FN(npdl_rnn_pack)(void *context, int64_t block, void *work) {
    const FN(npdl_rnn) *r = context;
    const int64_t units = r->p->units, width = r->gates * units, own = npdl_ceil_div(units, NPDL_RNN_UNITS);
    const int64_t each = NPDL_KB * NPDL_RNN_UNITS, blocks = npdl_ceil_div(r->k, NPDL_KB);
    const REAL *kernel = r->p->kernel, *inputs = r->p->input_kernel;
    int64_t u = block * NPDL_RNN_UNITS, w = npdl_min(units - u, NPDL_RNN_UNITS);
    (void)work;
    if (!r->backward) {
        REAL *to = r->panels + block * blocks * r->gates * each;
        for (int64_t kb = 0; kb < r->k; kb += NPDL_KB)
            for (int64_t g = 0; g < r->gates; g++, to += each) {
                const int64_t k = npdl_min(r->k - kb, NPDL_KB), states = npdl_max(0, npdl_min(k, units - kb));
                FN(npdl_pack_b)(kernel + kb * width + g * units + u, width, 0, states, w, to, 0);
                if (states < k)
                    FN(npdl_pack_b)(inputs + (kb + states - units) * width + g * units + u, width, 0, k - states, w, to,
                                    states);
            }
        return;
    }
    if (block >= own) {
        u -= own * NPDL_RNN_UNITS, w = npdl_min(r->p->width - u, NPDL_RNN_UNITS);
        for (int64_t kb = 0; kb < width; kb += NPDL_KB)
            FN(npdl_pack_b)(inputs + u * width + kb, width, 1, npdl_min(width - kb, NPDL_KB), w,
                            r->more + ((block - own) * blocks + kb / NPDL_KB) * each, 0);
        return;
    }
    for (int64_t part = 0; part < (r->k < width ? 2 : 1); part++) {
        int64_t start = part ? r->k : 0, stop = part ? width : r->k;
        REAL *to = (part ? r->more : r->panels) + block * npdl_ceil_div(stop - start, NPDL_KB) * each;
        for (int64_t kb = start; kb < stop; kb += NPDL_KB, to += each)
            FN(npdl_pack_b)(kernel + u * width + kb, width, 1, npdl_min(stop - kb, NPDL_KB), w, to, 0);
    }
}

/* ---- forward */

/* CALL with q's usual width as a constant where floats have it: in the passes that every forward step makes. */
#define NPDL_RNN_WIDE(CALL) \
    if (NPDL_REAL_BITS == 32 && q.w == NPDL_RNN_UNITS) { q.w = NPDL_RNN_UNITS; CALL; } \
    else CALL;

/* `count` gates from gate g on: s += z if that is given, then s = a(s); z becomes what a' is computed from. */
NPDL_INLINE void FN(npdl_rnn_gates_of)(const FN(npdl_rnn) *r, FN(npdl_patch) q, int which, int64_t g, int64_t count,
                                       REAL *s) {
    const npdl_rnn_call *p = r->p;
    const int64_t width = r->gates * p->units;
    for (; count; g++, count--, s += q.size) {
        if (!p->x) NPDL_PATCH OUT(S(0), IN(S(0)) + IN(AT(p->z, r->t, width, g * p->units)))
        if (p->z && p->from_z[which]) NPDL_PATCH OUT(AT(p->z, r->t, width, g * p->units), IN(S(0)))
        FN(npdl_activate)(p->code[which], r->constants[which], s, q.m * q.w);
        if (p->z && !p->from_z[which]) NPDL_PATCH OUT(AT(p->z, r->t, width, g * p->units), IN(S(0)))
    }
}

static __attribute__((noinline)) void FN(npdl_rnn_gates)(const FN(npdl_rnn) *r, FN(npdl_patch) q, int which, int64_t g,
                                                         int64_t count, REAL *s) {
    NPDL_RNN_WIDE(FN(npdl_rnn_gates_of)(r, q, which, g, count, s))
}

/* h of the next step, and where it is multiplied: v times keep. */
NPDL_INLINE void FN(npdl_rnn_state_of)(const FN(npdl_rnn) *r, FN(npdl_patch) q, int64_t t, const REAL *v) {
    const npdl_rnn_call *p = r->p;
    const int64_t units = p->units;
    NPDL_PATCH {
        VEC h = t && !LIVE(t - 1) ? IN(AT(p->h, t - 1, units, 0)) : v ? IN(v + i * q.w + j) : IN(AT(p->h, t, units, 0));
        if (t) OUT(AT(p->h, t, units, 0), h)
        if (t && p->y) OUT((REAL *)p->y + ((q.r + i) * p->steps + t - 1) * units + q.u + j, h)
        if (p->keep) h = h * IN(AT(p->keep, 0, units, 0));
        OUT(IN_BUFFER(r->buffer[t & 1], r->step, 0), h)
        if (p->dropped && t < p->steps) OUT(AT(p->dropped, t, units, 0), h)
    }
}

static __attribute__((noinline)) void FN(npdl_rnn_state)(const FN(npdl_rnn) *r, FN(npdl_patch) q, int64_t t,
                                                         const REAL *v) {
    const npdl_rnn_call *p = r->p;
    if (p->x && t < p->steps) { /* beside it this block's part of the step's x */
        const int64_t part = npdl_round_up(npdl_ceil_div(p->width, r->blocks), 16), j = q.u / NPDL_RNN_UNITS * part;
        const REAL *x = (const REAL *)p->x + (t * p->rows + q.r) * p->width + j;
        for (int64_t i = 0; j < p->width && i < q.m; i++)
            memcpy(r->buffer[t & 1] + (q.r + i) * r->step + p->units + j, x + i * p->width,
                   npdl_min(p->width - j, part) * sizeof(REAL));
    }
    NPDL_RNN_WIDE(FN(npdl_rnn_state_of)(r, q, t, v))
}

static void FN(npdl_rnn_forward)(const FN(npdl_rnn) *r, FN(npdl_patch) q, REAL *s) {
    const npdl_rnn_call *p = r->p;
    const int64_t size = q.size, units = p->units, t = r->t, G = r->gates;
    const REAL *state = r->buffer[t & 1];
    if (t < 0) {
        FN(npdl_rnn_state)(r, q, 0, NULL);
        return;
    }
    if (r->phase) { /* GRU_BEFORE: the candidate */
        FN(npdl_rnn_product)(r, r->second, r->second_step, units, r->panels, G, 2, 1, NULL, q, s + 2 * size, NULL, 0);
        FN(npdl_rnn_gates)(r, q, 0, 2, 1, s + 2 * size);
        NPDL_PATCH {
            VEC gate = IN(AT(r->carry, 0, units, 0)), v = IN(S(2)); /* the update gate waits in carry */
            OUT(S(3), FMA(gate, IN(AT(p->h, t, units, 0)) - v, v))
        }
        FN(npdl_rnn_state)(r, q, t + 1, s + 3 * size);
        return;
    }
    const FN(npdl_far) far[] = {
        NPDL_RNN_FAR(p->z, t, G), NPDL_RNN_FAR(p->h, t + 1, 1), NPDL_RNN_FAR(p->kind == NPDL_LSTM ? p->c : p->h, t, 1),
        NPDL_RNN_FAR(p->c, t + 1, 1), NPDL_RNN_FAR(p->inner, t, 1),
        {p->y ? (const REAL *)p->y + (q.r * p->steps + t) * units + q.u : NULL, p->steps * units, 1},
    };
    FN(npdl_rnn_product)(r, state, r->step, r->k, r->panels, G, 0, p->kind == NPDL_GRU_BEFORE ? 2 : G, p->bias, q, s,
                         far, sizeof far / sizeof *far);
    switch (p->kind) {
    case NPDL_SIMPLE_RNN:
        FN(npdl_rnn_gates)(r, q, 0, 0, 1, s);
        FN(npdl_rnn_state)(r, q, t + 1, s);
        break;
    case NPDL_LSTM:
        FN(npdl_rnn_gates)(r, q, 1, 0, 2, s);
        FN(npdl_rnn_gates)(r, q, 0, 2, 1, s + 2 * size);
        FN(npdl_rnn_gates)(r, q, 1, 3, 1, s + 3 * size);
        NPDL_PATCH {
            VEC before = IN(AT(p->c, t, units, 0)), c = before;
            if (LIVE(t)) c = FMA(IN(S(1)), before, IN(S(0)) * IN(S(2)));
            OUT(AT(p->c, t + 1, units, 0), c)
            OUT(S(4), c)
        }
        FN(npdl_activate)(p->code[0], r->constants[0], s + 4 * size, q.m * q.w);
        NPDL_PATCH OUT(S(4), IN(S(3)) * IN(S(4)))
        FN(npdl_rnn_state)(r, q, t + 1, s + 4 * size);
        break;
    case NPDL_GRU:
        NPDL_PATCH OUT(AT(p->inner, t, units, 0), IN(S(2)))
        FN(npdl_rnn_gates)(r, q, 1, 0, 2, s);
        NPDL_PATCH OUT(S(2), IN(S(1)) * IN(S(2)))
        FN(npdl_rnn_gates)(r, q, 0, 2, 1, s + 2 * size);
        NPDL_PATCH {
            VEC v = IN(S(2));
            OUT(S(3), FMA(IN(S(0)), IN(AT(p->h, t, units, 0)) - v, v))
        }
        FN(npdl_rnn_state)(r, q, t + 1, s + 3 * size);
        break;
    case NPDL_GRU_BEFORE:
        FN(npdl_rnn_gates)(r, q, 1, 0, 2, s);
        NPDL_PATCH {
            VEC v = IN(S(1)) * IN(IN_BUFFER(state, r->step, 0));
            OUT(IN_BUFFER(r->second, r->second_step, 0), v)
            OUT(AT(p->inner, t, units, 0), v)
            OUT(AT(r->carry, 0, units, 0), IN(S(0)))
        }
        break;
    }
}

/* ---- backward */

/* s[to] = a(x) of what forward kept of x, and s[slope] = a' there. */
static void FN(npdl_rnn_slopes)(const FN(npdl_rnn) *r, FN(npdl_patch) q, int which, REAL *s, int64_t to,
                                int64_t slope) {
    const npdl_rnn_call *p = r->p;
    const int64_t count = q.m * q.w;
    NPDL_PATCH OUT(S(slope), BC(1))
    FN(npdl_activate_grad)(p->code[which], r->constants[which], s + slope * q.size, s + to * q.size,
                           s + slope * q.size, count);
    if (p->from_z[which]) FN(npdl_activate)(p->code[which], r->constants[which], s + to * q.size, count);
}

/* The same of gates g ... g + count - 1 of step t. */
static void FN(npdl_rnn_saved)(const FN(npdl_rnn) *r, FN(npdl_patch) q, int which, int64_t g, int64_t count, REAL *s) {
    for (; count; g++, count--) {
        NPDL_PATCH OUT(S(g), IN(AT(r->p->z, r->t, r->gates * r->p->units, g * r->p->units)))
        FN(npdl_rnn_slopes)(r, q, which, s, g, NPDL_SLOPE + g);
    }
}

/* The gradient v of gate g, 0 where there is no step; and where it will be multiplied. */
#define NPDL_RNN_DZ(g, v) \
    { \
        VEC d_ = v; \
        if (!LIVE(t)) d_ = BC(0); \
        OUT(AT(p->dz, t, r->gates * units, (g) * units), d_) \
        OUT(IN_BUFFER(r->buffer[t & 1], r->step, (g) * units), d_) \
    }

/* dh of step t, as s[NPDL_DH]: from y, from the product with the next step's gates, and past it. */
static void FN(npdl_rnn_dh)(const FN(npdl_rnn) *r, FN(npdl_patch) q, REAL *s) {
    const npdl_rnn_call *p = r->p;
    const int64_t units = p->units, t = r->t;
    int product = t + 1 < p->steps;
    if (product) {
        const FN(npdl_far) far[] = {
            NPDL_RNN_FAR(p->z, t, r->gates), NPDL_RNN_FAR(p->dz != p->z ? p->dz : NULL, t, r->gates),
            NPDL_RNN_FAR(p->kind == NPDL_LSTM ? p->c : p->h, t, 1), NPDL_RNN_FAR(p->inner, t, 1),
            NPDL_RNN_FAR(p->dinner, t, 1), NPDL_RNN_FAR(p->dy, t, 1),
        };
        FN(npdl_rnn_product)(r, r->buffer[(t + 1) & 1], r->step, r->k, r->panels, 1, 0, 1, NULL, q,
                             s + NPDL_DH * q.size, far, t < 0 ? 0 : sizeof far / sizeof *far);
    }
    NPDL_PATCH {
        VEC v = product ? IN(S(NPDL_DH)) : BC(0);
        if (p->keep) v = v * IN(AT(p->keep, 0, units, 0));
        v = v + IN(AT(r->carry, 0, units, 0));
        if (p->dy && t >= 0) v = v + IN(AT(p->dy, t, units, 0));
        OUT(S(NPDL_DH), v)
    }
}

/* The second phase of GRU_BEFORE: through r · h. */
static void FN(npdl_rnn_reset)(const FN(npdl_rnn) *r, FN(npdl_patch) q, REAL *s) {
    const npdl_rnn_call *p = r->p;
    const int64_t units = p->units, t = r->t;
    FN(npdl_rnn_product)(r, r->second, r->second_step, units, r->more, 1, 0, 1, NULL, q, s + NPDL_DH * q.size, NULL, 0);
    FN(npdl_rnn_saved)(r, q, 1, 1, 1, s);
    NPDL_PATCH {
        const REAL *before = p->dropped ? AT(p->dropped, t, units, 0) : AT(p->h, t, units, 0);
        VEC d = IN(S(NPDL_DH)), past = d * IN(S(1));
        if (p->keep) past = past * IN(AT(p->keep, 0, units, 0));
        if (LIVE(t)) OUT(AT(r->carry, 0, units, 0), IN(AT(r->carry, 0, units, 0)) + past)
        NPDL_RNN_DZ(1, d * IN(before) * IN(S(NPDL_SLOPE + 1)))
    }
}

/* LSTM: all of a step but the product in one pass; s[NPDL_STATE] is c. Of a plain one, tanh and sigmoid, the gates are
 * read where they lie, and the slopes follow from them. */
NPDL_INLINE void FN(npdl_lstm_backward)(const FN(npdl_rnn) *r, FN(npdl_patch) q, REAL *s, const int plain) {
    const npdl_rnn_call *p = r->p;
    const int64_t units = p->units, t = r->t;
    const VEC one = BC(1);
    NPDL_PATCH {
        const REAL *z = AT(p->z, t, 4 * units, 0);
        VEC in = IN(plain ? z : S(0)), forget = IN(plain ? z + units : S(1));
        VEC new = IN(plain ? z + 2 * units : S(2)), out = IN(plain ? z + 3 * units : S(3));
        VEC dh = IN(S(NPDL_DH)), y = IN(S(NPDL_STATE)), c = IN(AT(p->c, t, units, 0)), dc = IN(AT(p->dc, 0, units, 0));
        VEC slope = FMA(-y, y, one), di = in * (one - in), df = forget * (one - forget);
        VEC dnew = FMA(-new, new, one), dout = out * (one - out);
        if (!plain) {
            slope = IN(S(NPDL_STATE_SLOPE)), di = IN(S(NPDL_SLOPE)), df = IN(S(NPDL_SLOPE + 1));
            dnew = IN(S(NPDL_SLOPE + 2)), dout = IN(S(NPDL_SLOPE + 3));
        }
        dc = dc + dh * out * slope;
        if (LIVE(t)) OUT(AT(p->dc, 0, units, 0), dc * forget)
        if (LIVE(t)) OUT(AT(r->carry, 0, units, 0), BC(0))
        else OUT(AT(r->carry, 0, units, 0), dh)
        NPDL_RNN_DZ(0, dc * new * di)
        NPDL_RNN_DZ(1, dc * c * df)
        NPDL_RNN_DZ(2, dc * in * dnew)
        NPDL_RNN_DZ(3, dh * y * dout)
    }
}

/* dx of the step after: q is columns of it. */
static void FN(npdl_rnn_dx)(const FN(npdl_rnn) *r, FN(npdl_patch) q, REAL *s) {
    const int64_t t = r->t + 1;
    if (t == r->p->steps) return;
    FN(npdl_rnn_product)(r, r->buffer[t & 1], r->step, r->k, r->more, 1, 0, 1, NULL, q, s, NULL, 0);
    NPDL_PATCH OUT(AT(r->p->dx, t, r->p->width, 0), IN(S(0)))
}

static void FN(npdl_rnn_backward)(const FN(npdl_rnn) *r, FN(npdl_patch) q, REAL *s) {
    const npdl_rnn_call *p = r->p;
    const int64_t units = p->units, t = r->t;
    if (r->phase) {
        FN(npdl_rnn_reset)(r, q, s);
        return;
    }
    FN(npdl_rnn_dh)(r, q, s);
    if (t < 0) {
        NPDL_PATCH OUT(AT(p->dh, 0, units, 0), IN(S(NPDL_DH)))
        return;
    }
    switch (p->kind) {
    case NPDL_SIMPLE_RNN:
        FN(npdl_rnn_saved)(r, q, 0, 0, 1, s);
        NPDL_PATCH {
            OUT(AT(r->carry, 0, units, 0), LIVE(t) ? BC(0) : IN(S(NPDL_DH)))
            NPDL_RNN_DZ(0, IN(S(NPDL_DH)) * IN(S(NPDL_SLOPE)))
        }
        break;
    case NPDL_LSTM:
        NPDL_PATCH OUT(S(NPDL_STATE), IN(AT(p->c, t + 1, units, 0)))
        if (p->code[0] == NPDL_TANH && p->code[1] == NPDL_SIGMOID) {
            FN(npdl_activate)(NPDL_TANH, NULL, s + NPDL_STATE * q.size, q.m * q.w);
            FN(npdl_lstm_backward)(r, q, s, 1);
            break;
        }
        if (!p->from_z[0]) FN(npdl_activate)(p->code[0], r->constants[0], s + NPDL_STATE * q.size, q.m * q.w);
        FN(npdl_rnn_slopes)(r, q, 0, s, NPDL_STATE, NPDL_STATE_SLOPE);
        FN(npdl_rnn_saved)(r, q, 1, 0, 2, s);
        FN(npdl_rnn_saved)(r, q, 0, 2, 1, s);
        FN(npdl_rnn_saved)(r, q, 1, 3, 1, s);
        FN(npdl_lstm_backward)(r, q, s, 0);
        break;
    default: /* GRU: update z, reset r, candidate */
        FN(npdl_rnn_saved)(r, q, 1, 0, p->kind == NPDL_GRU ? 2 : 1, s);
        FN(npdl_rnn_saved)(r, q, 0, 2, 1, s);
        NPDL_PATCH {
            VEC dh = IN(S(NPDL_DH)), gate = IN(S(0)), past = dh * gate;
            VEC v = dh * (BC(1) - gate) * IN(S(NPDL_SLOPE + 2)); /* of the candidate */
            OUT(AT(r->carry, 0, units, 0), LIVE(t) ? past : dh)
            if (!LIVE(t)) v = BC(0);
            NPDL_RNN_DZ(0, dh * (IN(AT(p->h, t, units, 0)) - IN(S(2))) * IN(S(NPDL_SLOPE)))
            OUT(AT(p->dz, t, 3 * units, 2 * units), v)
            if (p->kind == NPDL_GRU_BEFORE) {
                OUT(IN_BUFFER(r->second, r->second_step, 0), v)
                OUT(AT(p->dinner, t, units, 0), v)
            } else {
                VEC inner = v * IN(S(1));
                if (!LIVE(t)) inner = BC(0); /* r may be no number in a step that is masked */
                OUT(AT(p->dinner, t, units, 0), inner)
                OUT(IN_BUFFER(r->buffer[t & 1], r->step, 2 * units), inner)
                NPDL_RNN_DZ(1, v * IN(AT(p->inner, t, units, 0)) * IN(S(NPDL_SLOPE + 1)))
            }
        }
    }
}

#undef NPDL_RNN_DZ
#undef IN
#undef OUT
#undef AT
#undef IN_BUFFER
#undef S
#undef LIVE
#undef NPDL_PATCH
#undef NPDL_RNN_FAR
#undef NPDL_RNN_WIDE

/* ---- the steps */

/* On copies, so that the compiler knows that no store changes them. */
static void FN(npdl_rnn_block)(void *context, int64_t block, void *work) {
    FN(npdl_rnn) r = *(const FN(npdl_rnn) *)context;
    const npdl_rnn_call call = *r.p;
    const int64_t own = npdl_ceil_div(call.units, NPDL_RNN_UNITS), columns = block < own ? call.units : call.width;
    FN(npdl_patch) q = {.u = (block < own ? block : block - own) * NPDL_RNN_UNITS};
    r.p = &call;
    q.w = npdl_min(columns - q.u, NPDL_RNN_UNITS);
    for (; q.r < call.rows; q.r += NPDL_RNN_ROWS) {
        q.m = npdl_min(call.rows - q.r, NPDL_RNN_ROWS), q.size = q.m * q.w + NPDL_RNN_GAP;
        if (block >= own) FN(npdl_rnn_dx)(&r, q, work);
        else if (r.backward) FN(npdl_rnn_backward)(&r, q, work);
        else FN(npdl_rnn_forward)(&r, q, work);
    }
}

static void FN(npdl_rnn_blocks)(void *context, int64_t block, void *work) {
    const FN(npdl_rnn) *r = context;
    for (; block < r->blocks; block++) FN(npdl_rnn_block)(context, block, work);
}

static void FN(npdl_run_rnn)(const npdl_rnn_call *p, int backward) {
    static const int64_t gates_of[] = {1, 4, 3, 3};
    const int64_t units = p->units, rows = p->rows, gates = gates_of[p->kind];
    const int two = p->kind == NPDL_GRU_BEFORE;
    if (!rows || !units) return;
    FN(npdl_rnn) r = {.p = p, .constants = p->constants, .gates = gates, .backward = backward};
    r.k = backward ? (two ? 2 : gates) * units : units + (p->x ? p->width : 0);
    r.blocks = npdl_ceil_div(units, NPDL_RNN_UNITS) + (backward && p->dx ? npdl_ceil_div(p->width, NPDL_RNN_UNITS) : 0);
    int64_t panels = FN(npdl_rnn_panels)(units, r.k, backward ? 1 : gates), more = 0;
    if (backward && two) more = FN(npdl_rnn_panels)(units, units, 1);
    if (backward && p->dx) more = FN(npdl_rnn_panels)(p->width, r.k, 1);
    r.step = npdl_round_up(r.k, 16) + NPDL_RNN_ROOM, r.second_step = npdl_round_up(units, 16) + NPDL_RNN_ROOM;
    REAL *memory = npdl_shared((panels + more + rows * (2 * r.step + r.second_step + units)) * sizeof(REAL));
    if (!memory) return;
    r.panels = memory, memory += panels;
    r.more = memory, memory += more;
    r.buffer[0] = memory, r.buffer[1] = memory + rows * r.step, memory += 2 * rows * r.step;
    r.second = memory, memory += rows * r.second_step;
    r.carry = memory;
    if (backward) memcpy(r.carry, p->dh, rows * units * sizeof(REAL));
    int64_t columns = npdl_min(npdl_max(units, p->width), NPDL_RNN_UNITS);
    size_t bytes = NPDL_RNN_SCRATCH * sizeof(REAL) * (npdl_min(rows, NPDL_RNN_ROWS) * columns + NPDL_RNN_GAP);
    int small = rows * gates * units * (units + p->width) < NPDL_RNN_SMALL;
    npdl_parallel(FN(npdl_rnn_pack), &r, r.blocks, 0);
    for (int64_t i = 0; i <= p->steps; i++) {
        r.t = backward ? p->steps - 1 - i : i - 1; /* forward starts, and backward ends, with the state before them */
        for (r.phase = 0; r.phase < (two && r.t >= 0 ? 2 : 1); r.phase++)
            if (small) npdl_parallel(FN(npdl_rnn_blocks), &r, 1, bytes);
            else npdl_parallel(FN(npdl_rnn_block), &r, r.blocks, bytes);
    }
}

NPDL_API void FN(npdl_rnn_steps)(const npdl_rnn_call *p) { FN(npdl_run_rnn)(p, 0); }
NPDL_API void FN(npdl_rnn_steps_grad)(const npdl_rnn_call *p) { FN(npdl_run_rnn)(p, 1); }

/* ---- GRU: dR of the gates from h, of the candidate from what it multiplied: out (U, 3 U) from `rows` rows */
NPDL_API void FN(npdl_gru_dkernel)(const REAL *h, const REAL *reset, const REAL *dz, const REAL *dinner, REAL *out,
                                   int64_t rows, int64_t units) {
    FN(npdl_product) gates = {
        .m = units, .n = 2 * units, .k = rows, .a = h, .a_step = units, .transpose_a = 1, .b = dz, .b_step = 3 * units,
        .out = out, .out_step = 3 * units,
    };
    FN(npdl_product) candidate = {
        .m = units, .n = units, .k = rows, .a = reset, .a_step = units, .transpose_a = 1, .b = dinner, .b_step = units,
        .out = out + 2 * units, .out_step = 3 * units,
    };
    FN(npdl_run_product)(&gates);
    FN(npdl_run_product)(&candidate);
}

/* ---- dW = Σ xᵀ dz, dR = Σ hᵀ dz, db = Σ dz over all rows, block by block of NPDL_KB of them in order: dz, many times x
 * and h, is read and packed once for all three, and x and h, transposed, once for all columns. */
typedef struct {
    const REAL *from[2], *dz; /* x and h */
    REAL *out[2], *sums, *strips;
    int64_t width[2], columns, task_columns, each; /* each: numbers of a block's strips */
    int64_t k0, k1;           /* the rows whose strips are packed */
} FN(npdl_rnn_sums);

static void FN(npdl_rnn_strips)(void *context, int64_t block, void *work) {
    const FN(npdl_rnn_sums) *s = context;
    const int64_t k0 = s->k0 + block * NPDL_KB;
    REAL *to = s->strips + block * s->each;
    (void)work;
    for (int i = 0; i < 2; to += npdl_ceil_div(s->width[i++], NPDL_MR) * NPDL_A_STRIP) {
        const FN(npdl_product) product = {.a = s->from[i], .a_step = s->width[i], .transpose_a = 1};
        FN(npdl_pack_a)(&product, 0, s->width[i], k0, npdl_min(s->k1 - k0, NPDL_KB), to);
    }
}

static void FN(npdl_rnn_sum)(void *context, int64_t task, void *work) {
    const FN(npdl_rnn_sums) *s = context;
    const int64_t n0 = task * s->task_columns, n = npdl_min(s->columns - n0, s->task_columns);
    npdl_row row[NPDL_MB];
    for (int64_t i = 0; i < NPDL_MB; i++) row[i] = (npdl_row){i / NPDL_MR * NPDL_A_STRIP + i % NPDL_MR, i * s->columns};
    for (int64_t kb = s->k0; kb < s->k1; kb += NPDL_KB) {
        const int64_t k = npdl_min(s->k1 - kb, NPDL_KB);
        const REAL *dz = s->dz + kb * s->columns + n0, *strip = s->strips + (kb - s->k0) / NPDL_KB * s->each;
        FN(npdl_pack_b)(dz, s->columns, 0, k, n, work, 0);
        if (s->sums) FN(npdl_sum_block)(dz, s->columns, k, n, kb > 0, s->sums + n0);
        for (int i = 0; i < 2; i++)
            for (int64_t m0 = 0, m; m0 < s->width[i]; m0 += m, strip += npdl_ceil_div(m, NPDL_MR) * NPDL_A_STRIP) {
                m = npdl_min(s->width[i] - m0, NPDL_MB);
                FN(npdl_tiles_and_more)(NPDL_STRIP, strip, row, m, NULL, k, work, s->out[i] + m0 * s->columns + n0, n,
                                        kb > 0, NULL, NULL, NULL);
            }
    }
}

/* dw (D, columns), dr (U, columns), sums (columns,) or NULL. Few columns are few tasks: then two products, with parts. */
NPDL_API void FN(npdl_rnn_dkernels)(const REAL *x, const REAL *h, const REAL *dz, REAL *dw, REAL *dr, REAL *sums,
                                    int64_t rows, int64_t width, int64_t units, int64_t columns) {
    FN(npdl_rnn_sums) s = {.from = {x, h}, .dz = dz, .out = {dw, dr}, .sums = sums, .width = {width, units},
                           .columns = columns, .task_columns = NPDL_TASK_COLUMNS};
    if (columns < NPDL_RNN_SUM_COLUMNS || !rows || !width) {
        FN(npdl_matmul)(x, dz, dw, NULL, NULL, NULL, NULL, NULL, sums, width, columns, rows, 1, 0, 0, NULL);
        FN(npdl_matmul)(h, dz, dr, NULL, NULL, NULL, NULL, NULL, NULL, units, columns, rows, 1, 0, 0, NULL);
        return;
    }
    s.each = (npdl_ceil_div(width, NPDL_MR) + npdl_ceil_div(units, NPDL_MR)) * NPDL_A_STRIP + VL; /* packing overruns */
    while (s.task_columns > NPDL_NW && npdl_ceil_div(columns, s.task_columns) < 2 * npdl_get_num_threads())
        s.task_columns = npdl_round_up(s.task_columns / 2, NPDL_NW);
    s.strips = npdl_shared(npdl_ceil_div(npdl_min(rows, NPDL_RNN_SUM_ROWS), NPDL_KB) * s.each * sizeof(REAL));
    for (; s.strips && s.k0 < rows; s.k0 = s.k1) {
        s.k1 = npdl_min(rows, s.k0 + NPDL_RNN_SUM_ROWS);
        npdl_parallel(FN(npdl_rnn_strips), &s, npdl_ceil_div(s.k1 - s.k0, NPDL_KB), 0);
        npdl_parallel(FN(npdl_rnn_sum), &s, npdl_ceil_div(columns, s.task_columns),
                      NPDL_KB * s.task_columns * sizeof(REAL));
    }
}
