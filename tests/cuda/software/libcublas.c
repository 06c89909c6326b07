/* A libcublas.so.13 that hands every product to a callback (software.py). */
#include <stddef.h>
#include <stdint.h>

typedef int (*on_product)(void *stream, int transpose_a, int transpose_b, int m, int n, int k, float alpha, uint64_t a, int lda,
                          uint64_t b, int ldb, float beta, uint64_t c, int ldc, int compute, int type);
static on_product product;
void software_on_product(on_product function) { product = function; }

int cublasCreate_v2(void **handle) { *handle = (void *)0x77; return 0; }
static void *current;
static int has_room; /* to work in: without one a graph would have to allocate it */
int cublasSetStream_v2(void *handle, void *stream) { current = stream, has_room = 0; return 0; }
int cublasSetWorkspace_v2(void *handle, void *room, size_t size) { has_room = (uintptr_t)room % 256 == 0; return 0; }
const char *cublasGetStatusName(int status) {
    return status == 7 ? "CUBLAS_STATUS_INVALID_VALUE" : status == 15 ? "CUBLAS_STATUS_NOT_SUPPORTED" : "CUBLAS_STATUS";
}
static int most(int a, int b) { return a > b ? a : b; }
int cublasGemmEx(void *handle, int transpose_a, int transpose_b, int m, int n, int k, const float *alpha, uint64_t a,
                 int type_a, int lda, uint64_t b, int type_b, int ldb, const float *beta, uint64_t c, int type_c,
                 int ldc, int compute, int algorithm) {
    const int tf32 = 77, invalid = 7;
    if (m < 0 || n < 0 || k < 0 || lda < most(1, transpose_a ? k : m) || ldb < most(1, transpose_b ? n : k)) return invalid;
    if (ldc < most(1, m) || !has_room) return invalid;
    if (type_a != type_b || type_c != 0 || (type_a != 0 && compute == tf32)) return 15; /* no such product: NOT_SUPPORTED */
    return product(current, transpose_a, transpose_b, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc, compute, type_a);
}
