"""Adam and those made from it: Adam, AdamW, Adamax, Nadam, schedule-free AdamW."""

import math

import numpy as np

from npdl.kernels.reference.update import smallest


def adam(real, decoupled, amsgrad, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, beta_1, beta_2, bias_1, bias_2, epsilon = carray(context[3], 6, np.float64)
        b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
        root, eps, zero = real(1 / math.sqrt(bias_2)), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta = learning_rate * scale
            step, lam, keep = real(eta / bias_1), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - eta * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            v = carray(context[7], stop, real)[start:stop]
            v_max = carray(context[8], stop, real)[start:stop] if amsgrad else v
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                s = b1 * m[i] + a1 * d
                s = zero if abs(s) < least else s
                q = b2 * v[i] + a2 * (d * d)
                q = zero if q < least else q
                m[i], v[i] = s, q
                if amsgrad:
                    q = q if q > v_max[i] else v_max[i]
                    v_max[i] = q
                p[i] = keep * w - step * s / (math.sqrt(q) * root + eps)

    return body


def adamax(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, beta_1, beta_2, bias_1, epsilon, decoupled = carray(context[3], 6, np.float64)
        b1, a1, b2, eps, zero = real(beta_1), real(1 - beta_1), real(beta_2), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta = learning_rate * scale
            step, lam, keep = real(eta / bias_1), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - eta * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            u = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                s = b1 * m[i] + a1 * d
                s = zero if abs(s) < least else s
                q = b2 * u[i]
                q = zero if q < least else q
                d = abs(d) + eps
                q = q if q > d else d
                m[i], u[i] = s, q
                p[i] = keep * w - step * s / q

    return body


def nadam(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, beta_1, beta_2, gradient, mean, bias_2, epsilon, decoupled = carray(context[3], 8, np.float64)
        b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
        root, eps, zero = real(1 / math.sqrt(bias_2)), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta = learning_rate * scale
            along, ahead, lam, keep = real(eta * gradient), real(eta * mean), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - eta * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            v = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                s = b1 * m[i] + a1 * d
                s = zero if abs(s) < least else s
                q = b2 * v[i] + a2 * (d * d)
                q = zero if q < least else q
                m[i], v[i] = s, q
                p[i] = keep * w - (along * d + ahead * s) / (math.sqrt(q) * root + eps)

    return body


def schedule_free(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, warm, beta_1, beta_2, bias_2, epsilon, share, decoupled = carray(context[3], 8, np.float64)
        b2, a2, root, eps, zero = real(beta_2), real(1 - beta_2), real(1 / math.sqrt(bias_2)), real(epsilon), real(0)
        rest, toward = real(1 - share), real(beta_1)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta = learning_rate * scale
            step, lam, keep = real(eta * warm), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - eta * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            momentum = carray(context[6], stop, real)[start:stop]
            velocity = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w, d, m = keep * p[i], g[i] + lam * p[i], momentum[i]
                q = b2 * velocity[i] + a2 * (d * d)
                q = zero if q < least else q
                z = m - step * d / (math.sqrt(q) * root + eps)
                velocity[i], momentum[i] = q, z
                p[i] = z + rest * (toward * (m - z) + (w - m))

    return body
