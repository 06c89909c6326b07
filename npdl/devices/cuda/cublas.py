"""Matrix products by cuBLAS, called through ctypes: so they can be captured in a graph, in memory of our own."""

import ctypes

from npdl.devices.cuda import find

REAL_32 = 0  # CUDA_R_32F
KINDS = {None: REAL_32, "float16": 2, "bfloat16": 14}  # CUDA_R_16F, CUDA_R_16BF
COMPUTE_32, COMPUTE_TF32 = 68, 77  # CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_32F_FAST_TF32
DEFAULT_ALGORITHM = -1
MOST = (1 << 31) - 1


class Cublas:
    """One handle of the library.

    Args:
        stream: address of the CUDA stream on which it works.
        room, nbytes: address and size of the memory in which it works.

    Attributes:
        tf32: whether factors are rounded to TF32.
    """

    def __init__(self, stream, room, nbytes):
        found = find.library("cublas", "nvidia-cublas==13.*")
        self._lib = ctypes.PyDLL(found)  # which keeps Python's lock: a handle is for one thread at a time
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self._lib.cublasSetStream_v2.argtypes = [pointer, pointer]
        self._lib.cublasSetWorkspace_v2.argtypes = [pointer, pointer, ctypes.c_size_t]
        self._lib.cublasGemmEx.argtypes = [
            pointer, number, number, number, number, number, pointer, pointer, number, number, pointer, number, number,
            pointer, pointer, number, number, number, number,
        ]  # fmt: skip
        self._lib.cublasGetStatusName.restype = ctypes.c_char_p
        self._handle, self._room, self.tf32 = pointer(), (room, nbytes), False
        self._numbers = ctypes.byref(ctypes.c_float(0)), ctypes.byref(ctypes.c_float(1))
        self._check(self._lib.cublasCreate_v2(ctypes.byref(self._handle)))
        self.use_stream(stream)

    def use_stream(self, stream):
        """Work on this stream from now on."""
        self._check(self._lib.cublasSetStream_v2(self._handle, stream))
        self._check(self._lib.cublasSetWorkspace_v2(self._handle, *self._room))  # a new stream takes it away

    def product(self, a, b, out, transpose_a, transpose_b, add, kind=None):
        """out = op(a) op(b) of arrays of our own, row after row, or `Columns` of them; with `add` out += op(a) op(b).

        a and b are of float32, or the bits of "bfloat16" or "float16", whose products are added up in float32.

        To cuBLAS, whose matrices lie column after column, they are their transposes: outᵀ = op(b)ᵀ op(a)ᵀ.

        Raises:
            ValueError: a size beyond 32 bits.
        """
        rows, columns = out.shape
        inner = a.shape[0] if transpose_a else a.shape[1]
        if max(rows, columns, inner) > MOST:
            raise ValueError(f"a product of {rows} x {inner} and {inner} x {columns} is beyond cuBLAS' 32-bit sizes")
        factor, compute = KINDS[kind], COMPUTE_TF32 if self.tf32 and kind is None else COMPUTE_32
        self._check(
            self._lib.cublasGemmEx(
                self._handle, int(transpose_b), int(transpose_a), columns, rows, inner,
                self._numbers[True], b.address, factor, max(b.leading, 1), a.address, factor, max(a.leading, 1),
                self._numbers[add], out.address, REAL_32, max(out.leading, 1),
                compute, DEFAULT_ALGORITHM,
            )
        )  # fmt: skip

    def _check(self, status):
        if status:
            raise RuntimeError(f"cuBLAS: {self._lib.cublasGetStatusName(status).decode()}")
