"""Loss: what every loss is."""

import inspect

import numpy as np

from npdl import devices
from npdl.losses import targets
from npdl.losses.weights import Weighed, as_rows, check_sample_weight, demand_steps

FLOAT64 = np.dtype(np.float64)


class Loss:
    """A number L that says how far outputs are from targets, and its gradient.

        forward     Lₙ = loss of sample n       L = Σ wₙ Lₙ / M         M = number of samples with wₙ ≠ 0
        backward    dL/dp = wₙ / M · dLₙ/dp     exactly 0 where wₙ = 0

    The mean divides by the samples of non-zero weight (Keras: by all). A subclass writes `values` and `gradient`; the
    weights, the mean and the bookkeeping are done here. Where targets have another shape than the outputs it writes
    `check_shape` and `prepare` too. Or it writes `forward` and `backward` itself; then it need not even be a subclass.

    Shapes: y_true t and y_pred p (N, ...) · sample_weight w (N,), 1 where it is None · dL/dp like p.

    Args:
        name: shown in messages.
        reduction: "sum_over_batch_size" or "mean", which are the same: the mean over the samples.
        dtype: None; a loss computes in y_pred's dtype.

    Attributes:
        total, count: of the last forward, Σ wₙ Lₙ (float64) and M; L = total / count, 0 where count is 0. None where
            a subclass has a forward of its own that does not set them. In `fit` on a GPU total is an array there, and
            forward returns None: reading it would wait for the GPU.
        folds: name of the final activation that a trainer skips to give the loss logits, or None.
        counts_parts: whether M depends on the targets too, as where some positions are ignored.
        needs_targets: whether y_true says anything; else it may be None.
        whole_samples: whether a sample cannot be taken apart into steps with weights of their own.
        is_classification: whether the targets are classes.
        accuracy: name of the metric that metrics=["accuracy"] means with this loss, or None.
        device, k: where its arrays are and the kernels there.

    >>> class Cubic(Loss):
    ...     def values(self, y_true, y_pred, out):
    ...         out[...] = (abs(y_pred - y_true) ** 3).sum(axis=1)
    ...     def gradient(self, y_true, y_pred, scale, out):
    ...         e = y_pred - y_true
    ...         out[...] = scale[:, None] * 3 * e * abs(e)
    >>> loss = Cubic()
    >>> loss.forward([[0.0], [0.0]], [[1.0], [2.0]])
    4.5
    >>> loss.backward().tolist()
    [[1.5], [6.0]]
    """

    folds: str | None = None
    counts_parts = whole_samples = False
    needs_targets = True
    is_classification = False
    accuracy: str | None = None
    _one_pass = False

    def __init__(self, name=None, reduction="sum_over_batch_size", dtype=None):
        if reduction not in ("sum_over_batch_size", "mean"):
            raise ValueError(
                f"{type(self).__name__}: reduction={reduction!r} is not there; losses are means over the samples, "
                'reduction="sum_over_batch_size"'
            )
        if dtype is not None:
            raise ValueError(f"{type(self).__name__} computes in y_pred's dtype, got dtype={dtype!r}; leave dtype out")
        self.name, self.reduction, self.dtype = name or type(self).__name__, reduction, dtype
        self.total: float | None = None
        self.count: int | None = None
        self._saved: tuple | None = None
        self.attach(devices.get("cpu"))

    # ---- what a subclass writes

    def values(self, y_true, y_pred, out):
        """out[n] = Lₙ, the loss of sample n."""
        raise NotImplementedError(f"{type(self).__name__} needs values(self, y_true, y_pred, out), or its own forward")

    def gradient(self, y_true, y_pred, scale, out):
        """out = scale[n] · dLₙ/dy_pred, exactly 0 where scale[n] is 0."""
        raise NotImplementedError(
            f"{type(self).__name__} needs gradient(self, y_true, y_pred, scale, out), or its own backward"
        )

    def values_and_gradient(self, y_true, y_pred, scale, out, dy):
        """Both of the above; a subclass that has a kernel for both writes this one too."""
        self.values(y_true, y_pred, out)
        self.gradient(y_true, y_pred, scale, dy)

    def count_of(self, y_true, weights):
        """M, for targets on the device or the host and weights w (N,) on the host; with `counts_parts` of parts of
        samples."""
        return int(np.count_nonzero(weights))

    def weigh(self, y_true, sample_weight, n):
        """(wₙ, wₙ / M, M) for the weights of n samples, None: all 1; host arrays."""
        w = np.ones(n) if sample_weight is None else check_sample_weight(sample_weight, n)
        m = self.count_of(y_true, w)
        return w, w / (m or 1), m

    def check_settings(self):
        """Raise where an argument is still to be settled."""

    def check_shape(self, shape, output_shape):
        """Raise where targets of this shape do not go with outputs of shape (N, ...)."""
        targets.check_same_shape(type(self).__name__, shape, output_shape)

    def validate(self, y_true, output_shape):
        """Check targets once, before training.

        Args:
            y_true: host array.
            output_shape: the outputs' whole shape; None stands for an axis of any length.

        Raises:
            TypeError: they are not numbers.
            ValueError: shape, length or values are wrong; the message names the first wrong value and its row.
        """
        y = targets.as_numbers(type(self).__name__, y_true)
        self.check_shape(y.shape, output_shape)
        targets.check_finite(type(self).__name__, y)

    def prepare(self, y_true, dtype, output_shape=None):
        """Targets as the kernels take them: a C-contiguous host array of the model's dtype, the shape checked."""
        y = np.asarray(y_true)
        if output_shape is not None:
            self.check_shape(y.shape, output_shape)
        return np.ascontiguousarray(y, dtype)

    # ---- how it is called

    def forward(self, y_true, y_pred, sample_weight=None):
        """L, a float.

        Args:
            y_true: targets; by hand arrays or lists, checked. Inside `fit` what `prepare` gave, on the device.
            y_pred: the model's outputs.
            sample_weight: host array (N,) of weights, 0 or more; None is all 1. Or (N, T), a weight for each step of
                outputs (N, T, C): then each step is a sample of its own, and M counts steps.
        """
        y_true, y_pred, weights, scale, m, shape = self._begin(y_true, y_pred, sample_weight)
        values = self.buffer("values", scale.shape, scale.dtype)
        self.values(y_true, y_pred, values)  # Lₙ
        self._save(y_true, y_pred, scale, shape)
        return self._mean(values, weights, m)

    def backward(self):
        """dL/dy_pred of the last forward.

        Raises:
            RuntimeError: there was none.
        """
        workspace = devices.current_workspace()
        saved = self._saved if workspace is None else workspace.saved.get(id(self))
        if saved is None:
            raise RuntimeError(f"{self.name}: call forward(y_true, y_pred) before backward()")
        y_true, y_pred, scale, shape = saved
        dy = self._slopes(y_pred)
        self.gradient(y_true, y_pred, scale, dy)  # wₙ / M · dLₙ/dp
        return _like(dy, shape)

    def forward_backward(self, y_true, y_pred, sample_weight=None):
        """(L, dL/dy_pred): `forward` and `backward`, the same bits, in one pass over y_pred where there is a kernel."""
        if not self._one_pass:
            return self.forward(y_true, y_pred, sample_weight), self.backward()
        y_true, y_pred, weights, scale, m, shape = self._begin(y_true, y_pred, sample_weight)
        values, dy = self.buffer("values", scale.shape, scale.dtype), self._slopes(y_pred)
        self.values_and_gradient(y_true, y_pred, scale, values, dy)
        self._save(y_true, y_pred, scale, shape)
        return self._mean(values, weights, m), _like(dy, shape)

    def __init_subclass__(cls, **kwargs):
        """In one pass only what belongs together: a class that changes one half has to write both anew."""
        super().__init_subclass__(**kwargs)
        for kind in cls.__mro__[: cls.__mro__.index(Loss)]:  # the first that has any of them, a mixin too
            cls._one_pass = "values_and_gradient" in vars(kind)
            if cls._one_pass or {"values", "gradient", "forward", "backward"} & vars(kind).keys():
                break

    def __call__(self, y_true, y_pred, sample_weight=None):
        """`forward`."""
        return self.forward(y_true, y_pred, sample_weight)

    # ---- used by models

    def attach(self, device):
        """Compute on this device from now on."""
        self.device, self.k = device, device.kernels

    def buffer(self, name, shape, dtype):
        """An uninitialised array of the loss's own: fresh by hand, reused from step to step inside fit."""
        workspace = devices.current_workspace()
        if workspace is None:
            return devices.poison(self.device, self.device.alloc(shape, dtype))
        return workspace.take(id(self), name, shape, dtype)

    def get_config(self):
        """The arguments of `__init__`, as plain values: `type(loss).from_config(config)` is an equal loss."""
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = inspect.signature(type(self)).parameters.values()
        return {p.name: getattr(self, p.name) for p in parameters if p.kind not in kinds}

    @classmethod
    def from_config(cls, config):
        """A new loss from `get_config()`'s dictionary."""
        return cls(**config)

    def __repr__(self):
        usual = {p.name: p.default for p in inspect.signature(type(self)).parameters.values()}
        chosen = {name: value for name, value in self.get_config().items() if name != "name" and value != usual[name]}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in chosen.items())})"

    def _begin(self, y_true, y_pred, sample_weight):
        """(targets, outputs, wₙ, wₙ / M, M, the outputs' shape), checked and on the device."""
        self.check_settings()
        workspace = devices.current_workspace()
        if workspace is None:
            y_true, y_pred = self._by_hand(y_true, y_pred)
        several = isinstance(y_pred, tuple)
        shape = None if several else y_pred.shape
        if isinstance(sample_weight, Weighed):
            return y_true, y_pred, sample_weight.weights, sample_weight.scale, sample_weight.m, shape
        if not several and 1 < np.ndim(sample_weight) < len(shape):
            demand_steps(self)
            y_true, y_pred, sample_weight = as_rows(y_true, y_pred, np.asarray(sample_weight))
        first = y_pred[0] if several else y_pred
        n, dtype = len(first), first.dtype
        if sample_weight is not None or workspace is None:
            w, scale, m = self.weigh(y_true, sample_weight, n)
            return y_true, y_pred, self._array("weights", w, dtype), self._array("scale", scale, dtype), m, shape
        equal = workspace.saved.get((id(self), n, dtype))
        if equal is None:  # without sample weights they are the same in every step
            equal = self._filled((n,), dtype, 1.0), self._filled((n,), dtype, 1 / max(n, 1))
            workspace.saved[id(self), n, dtype] = equal
        if not self.counts_parts:
            return y_true, y_pred, *equal, n, shape
        m, scale = self.count_of(y_true, np.ones(n)), self.buffer("scale", (n,), dtype)
        self.k.fill(1 / (m or 1), out=scale)
        return y_true, y_pred, equal[0], scale, m, shape

    def _on_host(self, y_true):
        return y_true if isinstance(y_true, np.ndarray) else self.device.to_host(y_true)

    def _mean(self, values, weights, m):
        """L of values Lₙ; sets `total` and `count`."""
        total = self.buffer("total", (1,), FLOAT64)
        self.k.weighted_sum(values, weights, out=total)  # Σ wₙ Lₙ
        self.count = m
        if self.device.driver is not None and devices.current_workspace() is not None:
            self.total = total  # who wants it, reads it
            return None
        self.total = float(self.device.to_host(total)[0])
        return self.total / (m or 1)

    def _slopes(self, y_pred):
        """A buffer for dL/dy_pred: one like y_pred, or a tuple of such."""
        if isinstance(y_pred, tuple):
            return tuple(self.buffer(f"dy{i}", part.shape, part.dtype) for i, part in enumerate(y_pred))
        return self.buffer("dy", y_pred.shape, y_pred.dtype)

    def _array(self, name, values, dtype):
        """A buffer with these values."""
        array = self.buffer(name, values.shape, dtype)
        self.device.write(array, values)
        return array

    def _filled(self, shape, dtype, value):
        array = self.device.alloc(shape, dtype)
        self.device.write(array, np.full(shape, value))
        return array

    def _save(self, *values):
        workspace = devices.current_workspace()
        if workspace is None:
            self._saved = values
        else:
            workspace.saved[id(self)] = values

    def _by_hand(self, y_true, y_pred):
        """Targets and outputs checked and on the device, for a call outside the trainer's loop."""
        y_pred = self.device.from_host(y_pred)
        if y_pred.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"{type(self).__name__} takes y_pred in float32 or float64, got {y_pred.dtype}; "
                'pass y_pred.astype("float32")'
            )
        host = self.device.to_host(y_true) if isinstance(y_true, type(y_pred)) else np.asarray(y_true)
        self.validate(host, y_pred.shape)
        return self.device.from_host(self.prepare(host, y_pred.dtype, y_pred.shape)), y_pred


def _like(dy, shape):
    """dy in the shape of the outputs; None: there are several, and it is a tuple."""
    return dy if shape is None else dy.reshape(shape)
