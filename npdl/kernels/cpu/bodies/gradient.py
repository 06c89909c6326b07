"""Steps along the gradient, or by its sign: SGD, Lion, Rprop, Muon's momentum."""

import numpy as np

from npdl.kernels.reference.update import smallest


def sgd(real, has_velocity, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, momentum, ahead, decoupled = carray(context[3], 4, np.float64)
        mu, nesterov, zero = real(momentum), ahead != 0, real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            if not has_velocity:
                for i in range(p.size):
                    p[i] = keep * p[i] - eta * (g[i] + lam * p[i])
            else:
                velocity = carray(context[6], stop, real)[start:stop]
                for i in range(p.size):
                    d = g[i] + lam * p[i]
                    u = mu * velocity[i] + d
                    u = zero if abs(u) < least else u
                    velocity[i] = u
                    p[i] = keep * p[i] - eta * (d + mu * u if nesterov else u)

    return body


def lion(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, beta_1, beta_2 = carray(context[3], 3, np.float64)
        b1, a1, b2, a2 = real(beta_1), real(1 - beta_1), real(beta_2), real(1 - beta_2)
        zero, one = real(0), real(1)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, keep = real(learning_rate * scale), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            for i in range(p.size):
                d = g[i]
                u = b1 * m[i] + a1 * d
                u = one if u > zero else (-one if u < zero else u)
                s = b2 * m[i] + a2 * d
                m[i] = zero if abs(s) < least else s
                p[i] = keep * p[i] - eta * u

    return body


def rprop(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, eta_minus, eta_plus, step_min, step_max, decoupled = carray(context[3], 6, np.float64)
        minus, plus, least, most = real(eta_minus), real(eta_plus), real(step_min), real(step_max)
        zero, one = real(0), real(1)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            size, lam, keep = real(scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            previous = carray(context[6], stop, real)[start:stop]
            step = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                s = d * previous[i]
                q = step[i] * (plus if s > zero else (minus if s < zero else one))
                q = least if q < least else q
                q = most if q > most else q
                d = zero if s < zero else d
                previous[i], step[i] = d, q
                p[i] = keep * w - size * q * (one if d > zero else (-one if d < zero else d))

    return body


def muon(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        momentum, nesterov = carray(context[3], 2, np.float64)
        mu, rest, zero = real(momentum), real(1 - momentum), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, _ = pieces[piece]
            u = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            m = carray(context[6], stop, real)[start:stop]
            for i in range(u.size):
                s = mu * m[i] + rest * g[i]
                s = zero if abs(s) < least else s
                m[i] = s
                u[i] = mu * s + rest * g[i] if nesterov else s

    return body
