"""Digits: 1,797 handwritten digits, 8 x 8 grey pixels, part of scikit-learn: no network, no files.

Reference: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
(the test part of it).
"""

import numpy as np

from npdl import random

TRAIN = 1437


def load_data():
    """The digits and their labels, in one fixed random order: 1,437 to train and 360 to test.

    Pixels are 0 ... 16; divide by 16, and add an axis of one channel for a convolution: (x / 16)[..., None].

    Returns:
        (x_train, y_train), (x_test, y_test): images (1437, 8, 8) and (360, 8, 8) uint8, labels 0 ... 9 (1437,) and
        (360,) uint8.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(
            "digits is read from scikit-learn, which is not installed: pip install scikit-learn"
        ) from None
    bunch = load_digits()
    order = random.permutation(random.key(0, "digits"), len(bunch.target))
    x, y = bunch.images.astype(np.uint8)[order], bunch.target.astype(np.uint8)[order]
    return (x[:TRAIN], y[:TRAIN]), (x[TRAIN:], y[TRAIN:])
