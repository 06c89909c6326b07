/* Pairs and triplets of a batch. Formulas: npdl/kernels/reference/triplets.py.
 *
 * Semi-hard triplets: a block is an anchor, its distances from all rows, its loss, and its row of slopes S[a, b] = dL/dd(a, b) d'(a, b) / |e|.
 * A second pass gathers from it row by row dL/de_a = Σ_b (S[a, b] + S[b, a]) (e_a − e_b), b in order.
 */

typedef struct {
    const int32_t *labels;
    const REAL *e, *scale;
    REAL *out, *dy, *slopes; /* slopes (samples, samples), NULL without dy */
    double margin, factor, share;
    int root;
    int64_t samples, size;
} FN(npdl_semi_hard_work);

/* The negative of a pair: the nearest one beyond `near`, else the farthest; -1 where there is none. */
static int64_t FN(npdl_negative)(const FN(npdl_semi_hard_work) *s, const REAL *d, int32_t label, REAL near) {
    int64_t beyond = -1, farthest = -1;
    for (int64_t n = 0; n < s->samples; n++) {
        if (s->labels[n] == label) continue;
        if (d[n] != d[n]) return n; /* so that the loss is not a number either */
        if (d[n] > near && (beyond < 0 || d[n] < d[beyond])) beyond = n;
        if (farthest < 0 || d[n] > d[farthest]) farthest = n;
    }
    return beyond >= 0 ? beyond : farthest;
}

static void FN(npdl_semi_hard_block)(void *context, int64_t a, void *work) {
    const FN(npdl_semi_hard_work) *s = context;
    const int64_t n = s->samples, size = s->size;
    const REAL factor = (REAL)s->factor, *anchor = s->e + a * size;
    REAL *d = work, *difference = d + n, *slopes = s->slopes ? s->slopes + a * n : NULL, total = 0;
    const REAL step = slopes ? s->scale[a] * (REAL)s->share : 0;
    for (int64_t b = 0; b < n; b++) {
        NPDL_MAP2(anchor, s->e + b * size, difference, size, v - w)
        const REAL square = FN(npdl_long_dot)(difference, difference, size);
        d[b] = factor * (s->root ? NPDL_ROOT(square) : square);
    }
    if (slopes) memset(slopes, 0, n * sizeof(REAL));
    for (int64_t p = 0; p < n; p++) {
        if (p == a || s->labels[p] != s->labels[a]) continue;
        const int64_t away = FN(npdl_negative)(s, d, s->labels[a], d[p]);
        const REAL loss = away < 0 ? 0 : d[p] - d[away] + (REAL)s->margin;
        if (loss <= 0) continue;
        total += loss;
        if (slopes) slopes[p] += step, slopes[away] -= step;
    }
    if (s->out) s->out[a] = total * (REAL)s->share;
    for (int64_t b = 0; slopes && b < n; b++)
        slopes[b] = !s->root ? slopes[b] * 2 * factor : d[b] == 0 ? 0 : slopes[b] * factor * factor / d[b];
}

static void FN(npdl_semi_hard_gather)(void *context, int64_t a, void *work) {
    const FN(npdl_semi_hard_work) *s = context;
    const int64_t n = s->samples, size = s->size;
    const REAL *anchor = s->e + a * size;
    REAL *dy = s->dy + a * size;
    (void)work;
    memset(dy, 0, size * sizeof(REAL));
    for (int64_t b = 0; b < n; b++) {
        const REAL *other = s->e + b * size, both = s->slopes[a * n + b] + s->slopes[b * n + a];
        const VEC f = BC(both);
        if (both == 0) continue;
        for (int64_t i = 0; i < size; i += VL) {
            const int64_t m = NPDL_LESS(size - i, VL);
            STN(dy + i, FMA(f, LDN(anchor + i, m) - LDN(other + i, m), LDN(dy + i, m)), m);
        }
    }
}

/* out (samples,) and dy like e; one may be NULL */
NPDL_API void FN(npdl_semi_hard)(const int32_t *labels, const REAL *e, const REAL *scale, REAL *out, REAL *dy,
                                 double margin, int root, double factor, double share, int64_t samples, int64_t size) {
    FN(npdl_semi_hard_work) s = {labels, e, scale, out, dy, NULL, margin, factor, share, root, samples, size};
    if (dy && !(s.slopes = npdl_shared((size_t)samples * samples * sizeof(REAL)))) return;
    npdl_parallel(FN(npdl_semi_hard_block), &s, samples, (size_t)(samples + size) * sizeof(REAL));
    if (dy) npdl_parallel(FN(npdl_semi_hard_gather), &s, samples, 0);
}

/* ---- Circle loss: a block is a row of the similarities S */

typedef struct {
    const int32_t *labels;
    const REAL *s, *scale;
    REAL *out, *ds; /* one may be NULL */
    double gamma, margin, share;
    int diagonal;
    int64_t samples;
} FN(npdl_circle_work);

/* ln Σ eᵗ; t becomes eᵗ / Σ eᵗ. */
static REAL FN(npdl_log_sum_exp)(REAL *t, int64_t n) {
    const REAL top = FN(npdl_max)(t, n);
    const VEC most = BC(top);
    NPDL_MAP(t, t, n, FN(npdl_exp)(v - most))
    const VEC total = BC(FN(npdl_sum)(t, n));
    NPDL_MAP(t, t, n, v / total)
    return top + FN(npdl_log)(total)[0];
}

static void FN(npdl_circle_block)(void *context, int64_t a, void *work) {
    const FN(npdl_circle_work) *w = context;
    const int64_t n = w->samples;
    const REAL gamma = (REAL)w->gamma, margin = (REAL)w->margin, *s = w->s + a * n;
    const int32_t *labels = w->labels, own = labels[a];
    REAL *near = work, *far = near + n, *ds = w->ds ? w->ds + a * n : NULL;
    int64_t nears = 0, fars = 0;
    for (int64_t b = 0; b < n; b++) {
        const int is_near = labels[b] == own && (b != a || w->diagonal), is_far = labels[b] != own;
        const REAL d = s[b] > 1 ? 0 : 1 - s[b], p = d + margin, q = 1 + margin - d;
        near[b] = is_near ? gamma * (p < 0 ? 0 : p) * (d - margin) : (REAL)-INFINITY;
        far[b] = is_far ? gamma * (q < 0 ? 0 : q) * (1 - margin - d) : (REAL)-INFINITY;
        nears += is_near, fars += is_far;
    }
    const int live = nears && fars && !(ds && w->scale[a] == 0);
    if (!live && ds) memset(ds, 0, n * sizeof(REAL));
    if (!live && w->out) w->out[a] = 0;
    if (!live) return;
    const REAL p_log = FN(npdl_log_sum_exp)(near, n), x = p_log + FN(npdl_log_sum_exp)(far, n);
    if (w->out) w->out[a] = (REAL)w->share * FN(npdl_softplus)(BC(x))[0];
    if (!ds) return;
    const REAL g = 2 * gamma * (REAL)w->share * w->scale[a] * FN(npdl_sigmoid)(BC(x))[0];
    for (int64_t b = 0; b < n; b++) {
        const REAL d = 1 - s[b], p = d + margin <= 0 || d < 0 ? 0 : -d, q = 1 + margin - d <= 0 || d < 0 ? 0 : 1 - d;
        ds[b] = g * (labels[b] == own ? near[b] * p : far[b] * q);
    }
}

/* S (samples, samples); out (samples,) and ds like S */
NPDL_API void FN(npdl_circle)(const int32_t *labels, const REAL *similarity, const REAL *scale, REAL *out, REAL *ds,
                              double gamma, double margin, int diagonal, double share, int64_t samples) {
    FN(npdl_circle_work) w = {labels, similarity, scale, out, ds, gamma, margin, share, diagonal, samples};
    npdl_parallel(FN(npdl_circle_block), &w, samples, (size_t)(2 * samples) * sizeof(REAL));
}
