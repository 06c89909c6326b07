"""What is done to whole flat arrays beside the updates: sums of two, clipping."""

import numpy as np


def combine(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        a, b = carray(context[3], 2, np.float64)
        f = real(a)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            h = real(b * carray(context[2], (row + 1, 5), np.float64)[row, 2])
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            if a == 0:
                for i in range(p.size):
                    p[i] = h * g[i]
            else:
                for i in range(p.size):
                    p[i] = f * p[i] + h * g[i]

    return body


def clip(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        limit = real(carray(context[3], 1, np.float64)[0])
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, _ = pieces[piece]
            p = carray(context[4], stop, real)[start:stop]
            for i in range(p.size):
                x = p[i]
                x = -limit if x < -limit else x
                p[i] = limit if x > limit else x

    return body
