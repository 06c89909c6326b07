"""Philox4x32-10: random numbers computed from a counter and a key, with no state between calls.

Reference: Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3, 2011.
"""

import numpy as np

MULTIPLIER_0, MULTIPLIER_1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL_0, WEYL_1 = 0x9E3779B9, 0xBB67AE85  # added to the key after each round
ROUNDS = 10
LOW, SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter, key):
    """Four random words for every counter.

        one round, ten times:   (c0, c1, c2, c3) = (hi(M1·c2) ⊕ c1 ⊕ k0,  lo(M1·c2),  hi(M0·c0) ⊕ c3 ⊕ k1,  lo(M0·c0))
                                (k0, k1) = (k0 + W0, k1 + W1) mod 2³²

    hi and lo are the upper and lower 32 bits of a 64-bit product.

    Args:
        counter: (n, 4) uint32.
        key: (k0, k1), two whole numbers of 32 bits.

    Returns:
        (n, 4) uint32.
    """
    c0, c1, c2, c3 = np.asarray(counter).T.astype(np.uint64)
    k0, k1 = (int(k) for k in key)
    for _ in range(ROUNDS):
        a, b = MULTIPLIER_0 * c0, MULTIPLIER_1 * c2  # below 2⁶⁴: nothing overflows
        c0, c1, c2, c3 = (b >> SHIFT) ^ c1 ^ np.uint64(k0), b & LOW, (a >> SHIFT) ^ c3 ^ np.uint64(k1), a & LOW
        k0, k1 = (k0 + WEYL_0) & 0xFFFFFFFF, (k1 + WEYL_1) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)
