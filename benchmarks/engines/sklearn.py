"""scikit-learn's MLPClassifier, where it applies."""

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from benchmarks import data


def set_threads(n):
    """Its threads are those of NumPy's matrix product."""
    threadpool_limits(n)


def use(device):
    """It has the processor alone."""


def epoch(samples, batch):
    """One pass with Adam; `partial_fit` cuts its data into batches."""
    x, y = data.images(samples)
    model = MLPClassifier((128,), solver="adam", alpha=0.0, batch_size=batch, random_state=0)
    classes = np.arange(10)
    return {"partial_fit": lambda: model.partial_fit(x, y, classes=classes)}


def about():
    return {"name": "scikit-learn", "version": sklearn.__version__, "config": ""}


OPERATIONS = {"epoch": epoch}
