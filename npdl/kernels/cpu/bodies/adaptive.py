"""Steps over the root of squared gradients: RMSprop, Adagrad, Adadelta, FTRL."""

import math

import numpy as np

from npdl.kernels.reference.update import smallest


def rmsprop(real, centered, has_velocity, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, rho, momentum, epsilon, decoupled = carray(context[3], 5, np.float64)
        r, a, mu, eps, zero = real(rho), real(1 - rho), real(momentum), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            v = carray(context[6], stop, real)[start:stop]
            mean = carray(context[7], stop, real)[start:stop] if centered else v
            velocity = carray(context[8], stop, real)[start:stop] if has_velocity else v
            for i in range(p.size):
                d = g[i] + lam * p[i]
                w = r * v[i] + a * (d * d)
                w = zero if w < least else w
                v[i] = w
                if centered:
                    u = r * mean[i] + a * d
                    u = zero if abs(u) < least else u
                    mean[i] = u
                    w = w - u * u
                    w = zero if w < zero else w
                d = d / (math.sqrt(w) + eps)
                if has_velocity:
                    d = mu * velocity[i] + d
                    d = zero if abs(d) < least else d
                    velocity[i] = d
                p[i] = keep * p[i] - eta * d

    return body


def adagrad(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, epsilon, decoupled = carray(context[3], 3, np.float64)
        eps = real(epsilon)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            v = carray(context[6], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                q = v[i] + d * d
                v[i] = q
                p[i] = keep * w - eta * d / (math.sqrt(q) + eps)

    return body


def adadelta(real, carray):
    least = real(smallest(real))

    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, rho, epsilon, decoupled = carray(context[3], 4, np.float64)
        r, a, eps, zero = real(rho), real(1 - rho), real(epsilon), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            v = carray(context[6], stop, real)[start:stop]
            delta = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w = p[i]
                d = g[i] + lam * w
                q = r * v[i] + a * (d * d)
                q = zero if q < least else q
                x = math.sqrt((delta[i] + eps) / (q + eps)) * d
                u = r * delta[i] + a * (x * x)
                u = zero if u < least else u
                v[i], delta[i] = q, u
                p[i] = keep * w - eta * x

    return body


def ftrl(real, carray):
    def body(context, block, work):
        blocks = carray(context[0], block + 2, np.int64)
        pieces = carray(context[1], (blocks[block + 1], 3), np.int64)
        learning_rate, power, l1, l2, shrinkage, beta, decoupled = carray(context[3], 7, np.float64)
        top, twice, zero = real(l1), real(2 * shrinkage), real(0)
        for piece in range(blocks[block], blocks[block + 1]):
            start, stop, row = pieces[piece]
            _, _, scale, decay, _ = carray(context[2], (row + 1, 5), np.float64)[row]
            eta, lam, keep = real(learning_rate * scale), real(decay), real(1)
            if eta == zero:
                continue
            more = real(2 * l2 + beta / (learning_rate * scale))
            if decoupled:
                lam, keep = real(0), real(1 - learning_rate * scale * decay)
            p = carray(context[4], stop, real)[start:stop]
            g = carray(context[5], stop, real)[start:stop]
            accumulator = carray(context[6], stop, real)[start:stop]
            linear = carray(context[7], stop, real)[start:stop]
            for i in range(p.size):
                w, d, a = keep * p[i], g[i] + lam * p[i], accumulator[i]
                n = a + d * d
                if power == -0.5:
                    before, after = math.sqrt(a), math.sqrt(n)
                else:
                    before, after = real(math.pow(np.float64(a), -power)), real(math.pow(np.float64(n), -power))
                z = linear[i] + ((d + twice * w) - (after - before) / eta * w)
                linear[i], accumulator[i] = z, n
                bottom = after / eta + more
                c = z if z < top else top
                c = c if c > -top else -top
                c = z if z != z else c
                p[i] = w if bottom == zero else (c - z) / bottom

    return body
