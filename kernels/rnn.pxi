# Recurrent layers.

cdef extern from "engine.h" nogil:
    enum: NPDL_SIMPLE_RNN, NPDL_LSTM, NPDL_GRU, NPDL_GRU_BEFORE
    ctypedef struct npdl_rnn_call:
        int kind
        int code[2]
        int from_z[2]
        double constants[2][3]
        int64_t steps, rows, units
        const void *kernel
        const void *bias
        const uint8_t *mask
        const void *keep
        void *z
        void *h
        void *c
        void *inner
        void *dropped
        const void *dy
        void *dz
        void *dh
        void *dc
        void *dinner
        int64_t width
        const void *x
        const void *input_kernel
        void *y
        void *dx
    void npdl_rnn_steps_f32(const npdl_rnn_call *call)
    void npdl_rnn_steps_f64(const npdl_rnn_call *call)
    void npdl_rnn_steps_grad_f32(const npdl_rnn_call *call)
    void npdl_rnn_steps_grad_f64(const npdl_rnn_call *call)
    void npdl_gru_dkernel_f32(
        const void *h, const void *reset, const void *dz, const void *dinner, void *out, int64_t rows, int64_t units)
    void npdl_gru_dkernel_f64(
        const void *h, const void *reset, const void *dz, const void *dinner, void *out, int64_t rows, int64_t units)
    void npdl_rnn_dkernels_f32(
        const void *x, const void *h, const void *dz, void *dw, void *dr, void *sums, int64_t rows, int64_t width,
        int64_t units, int64_t columns)
    void npdl_rnn_dkernels_f64(
        const void *x, const void *h, const void *dz, void *dw, void *dr, void *sums, int64_t rows, int64_t width,
        int64_t units, int64_t columns)

SIMPLE_RNN, LSTM, GRU, GRU_BEFORE = NPDL_SIMPLE_RNN, NPDL_LSTM, NPDL_GRU, NPDL_GRU_BEFORE


cdef char fill_rnn(
    str kernel, npdl_rnn_call *call, int kind, int64_t steps, int64_t rows, int64_t units, int gates, R, mask, keep,
    tuple activations, z, h, c, inner, dropped, int64_t width, W, bint forward,
) except 0:
    """What forward and backward have in common; the type letter."""
    cdef char type = type_of(kernel, "R", R)
    cdef int i
    call.kind, call.steps, call.rows, call.units = kind, steps, rows, units
    for i in range(2):
        call.code[i], call.from_z[i], constants = activations[i]
        fill_constants(constants, call.constants[i])
    call.kernel = at(kernel, "R", R, type, units * gates * units)
    call.mask = <const uint8_t *> at(kernel, "mask", mask, b"B", steps * rows)
    call.keep = at(kernel, "keep", keep, type, rows * units)
    call.z = at(kernel, "z", z, type, steps * rows * gates * units, forward)
    call.h = at(kernel, "h", h, type, (steps + 1) * rows * units, forward)
    call.c = at(kernel, "c", c, type, (steps + 1) * rows * units, forward)
    call.inner = at(kernel, "inner", inner, type, steps * rows * units, forward)
    call.dropped = at(kernel, "dropped", dropped, type, steps * rows * units, forward)
    call.bias = call.dy = call.dz = call.dh = call.dc = call.dinner = call.x = call.y = call.dx = NULL
    call.width, call.input_kernel = width, at(kernel, "W", W, type, width * gates * units)
    return type


def rnn(
    str kernel, int kind, int64_t steps, int64_t rows, int64_t units, int gates, R, bias, mask, keep,
    tuple activations, z, h, c, inner, dropped, x=None, int64_t width=0, W=None, y=None,
):
    """The states of all steps in h[1:], and c[1:]; z, if it is not None, becomes what backward needs."""
    cdef npdl_rnn_call call
    cdef char type = fill_rnn(
        kernel, &call, kind, steps, rows, units, gates, R, mask, keep, activations, z, h, c, inner, dropped, width, W,
        True,
    )
    call.bias = at(kernel, "bias", bias, type, gates * units)
    call.x = at(kernel, "x", x, type, steps * rows * width)
    call.y = at(kernel, "y", y, type, steps * rows * units, True)
    with nogil:
        if type == b"f":
            npdl_rnn_steps_f32(&call)
        else:
            npdl_rnn_steps_f64(&call)
    done(kernel)


def rnn_grad(
    str kernel, int kind, int64_t steps, int64_t rows, int64_t units, int gates, dy, R, mask, keep,
    tuple activations, z, h, c, inner, dropped, dz, dh, dc, dinner, dx=None, int64_t width=0, W=None,
):
    """The gradients of `rnn`; dh and dc: of the last state, become those of the first."""
    cdef npdl_rnn_call call
    cdef char type = fill_rnn(
        kernel, &call, kind, steps, rows, units, gates, R, mask, keep, activations, z, h, c, inner, dropped, width, W,
        False,
    )
    call.dy = at(kernel, "dy", dy, type, steps * rows * units)
    call.dz = at(kernel, "dz", dz, type, steps * rows * gates * units, True)
    call.dh = at(kernel, "dh", dh, type, rows * units, True)
    call.dc = at(kernel, "dc", dc, type, rows * units, True)
    call.dinner = at(kernel, "dinner", dinner, type, steps * rows * units, True)
    call.dx = at(kernel, "dx", dx, type, steps * rows * width, True)
    with nogil:
        if type == b"f":
            npdl_rnn_steps_grad_f32(&call)
        else:
            npdl_rnn_steps_grad_f64(&call)
    done(kernel)


def gru_dkernel(h, reset, dz, dinner, out, int64_t rows, int64_t units):
    """out[:, :2U] = hᵀ dz[:, :2U], out[:, 2U:] = resetᵀ dinner"""
    cdef char type = type_of("gru_dkernel", "h", h)
    cdef void *h_ = at("gru_dkernel", "h", h, type, rows * units)
    cdef void *reset_ = at("gru_dkernel", "reset", reset, type, rows * units)
    cdef void *dz_ = at("gru_dkernel", "dz", dz, type, rows * 3 * units)
    cdef void *dinner_ = at("gru_dkernel", "dinner", dinner, type, rows * units)
    cdef void *out_ = at("gru_dkernel", "out", out, type, units * 3 * units, True)
    with nogil:
        if type == b"f":
            npdl_gru_dkernel_f32(h_, reset_, dz_, dinner_, out_, rows, units)
        else:
            npdl_gru_dkernel_f64(h_, reset_, dz_, dinner_, out_, rows, units)
    done("gru_dkernel")


def rnn_dkernels(x, h, dz, dW, dR, sums, int64_t rows, int64_t width, int64_t units, int64_t columns):
    """dW = xᵀ dz, dR = hᵀ dz, sums, if it is not None, Σ dz"""
    cdef char type = type_of("rnn_dkernels", "dz", dz)
    cdef void *x_ = at("rnn_dkernels", "x", x, type, rows * width)
    cdef void *h_ = at("rnn_dkernels", "h", h, type, rows * units)
    cdef void *dz_ = at("rnn_dkernels", "dz", dz, type, rows * columns)
    cdef void *dw_ = at("rnn_dkernels", "dW", dW, type, width * columns, True)
    cdef void *dr_ = at("rnn_dkernels", "dR", dR, type, units * columns, True)
    cdef void *sums_ = at("rnn_dkernels", "sums", sums, type, columns, True)
    with nogil:
        if type == b"f":
            npdl_rnn_dkernels_f32(x_, h_, dz_, dw_, dr_, sums_, rows, width, units, columns)
        else:
            npdl_rnn_dkernels_f64(x_, h_, dz_, dw_, dr_, sums_, rows, width, units, columns)
    done("rnn_dkernels")
