"""L-BFGS: Newton's method from the last gradients, for full batches."""

import math

import numpy as np

from npdl.optimizers.base import Optimizer, of_its_layers
from npdl.optimizers.line_search import strong_wolfe

_SMALLER = "a smaller learning_rate"


class LBFGS(Optimizer):
    """Limited-memory BFGS: the inverse of the second derivatives from the last changes of weights and gradients.

        y = g − g before,  s = t d                      kept where yᵀs > 1e-10, the last `history_size` of them
        d = −H g                                        the two loops of Nocedal; H begins as (yᵀs / yᵀy) I
        p = p + t d                                     t: η, in the first iteration η min(1, 1 / ‖g‖₁), or searched

    One call of `step` makes up to `max_iter` such iterations, each with the loss and the gradient of the same batch:
    by hand `optimizer.step(model, closure)`, where closure() makes forward, loss and backward and returns the loss;
    in `fit` the batch of the step, best all rows (`batch_size=len(x)`). A net with Dropout has another loss each time.
    Formulas, arguments and defaults are PyTorch's (Keras has no L-BFGS), under Keras' name for η. Sums are in float64.

    Args:
        learning_rate: η.
        max_iter: iterations a step.
        max_eval: how often the loss is computed in a step, about; None is max_iter · 5 / 4.
        tolerance_grad: the step ends where no number of the gradient is larger.
        tolerance_change: or where neither a weight nor the loss changes by more.
        history_size: how many pairs y, s are kept; each is as large as the weights.
        line_search_fn: None, or "strong_wolfe": t such that loss and slope along d fall enough.
        weight_decay: λ: the loss gets λ/2 ‖p‖²; None is 0.
        name: kept for you.
        services: `use_ema` and what belongs to it.

    Raises:
        ValueError: an argument out of range; clipping, accumulation, learning-rate multipliers.
        FloatingPointError: of a step: a loss or gradient that is not finite; the weights are the last ones that were.

    References:
        Liu and Nocedal, On the limited memory BFGS method for large scale optimization, 1989.
        Nocedal and Wright, Numerical optimization, 2006, algorithms 3.5, 3.6 and 7.4.

    >>> LBFGS(line_search_fn="strong_wolfe")
    LBFGS(learning_rate=1.0, line_search_fn='strong_wolfe')
    """

    takes_closure = True

    def __init__(
        self, learning_rate=1.0, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9,
        history_size=100, line_search_fn=None, weight_decay=None, name="lbfgs", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        for argument, value in (("max_iter", max_iter), ("max_eval", max_eval), ("history_size", history_size)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"LBFGS: {argument} must be a whole number of at least 1, got {value!r}; pass e.g. 20")
        if line_search_fn not in (None, "strong_wolfe"):
            raise ValueError(
                f'LBFGS: line_search_fn must be None or "strong_wolfe", got {line_search_fn!r}; pass "strong_wolfe"'
            )
        for service in ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps"):
            if getattr(self, service) is not None:
                raise ValueError(f"LBFGS needs the gradient as it is, got {service}; leave it out")
        self.max_iter, self.max_eval, self.history_size = max_iter, max_eval, history_size
        self.tolerance_grad = self.check("tolerance_grad", tolerance_grad, example=1e-7)
        self.tolerance_change = self.check("tolerance_change", tolerance_change, example=1e-9)
        self.line_search_fn = line_search_fn
        self._n_iter, self._t, self._diagonal = 0, 0.0, 1.0
        self._order: list[int] = []  # the pairs y, s that are kept, by their arrays' numbers, oldest first
        self._ro: list[float] = []  # 1 / yᵀs of each

    # ---- state

    def slots(self):
        return ("d", "previous", *(f"{letter}{i}" for letter in "ys" for i in sorted(self._order)))

    def scalars(self):
        return {
            "n_iter": self._n_iter, "t": self._t, "diagonal": self._diagonal, "order": list(self._order),
            "ro": list(self._ro),
        }  # fmt: skip

    def set_scalars(self, scalars):
        self._n_iter, self._t, self._diagonal = scalars["n_iter"], scalars["t"], scalars["diagonal"]
        self._order, self._ro = list(scalars["order"]), list(scalars["ro"])

    def _expected(self, scalars):
        pairs = [f"{letter}{i}" for letter in "ys" for i in scalars["order"]]
        return ("d", "previous", *pairs, *self.service_slots())

    def add_group(self, var_list=None, var_names=None, learning_rate_multiplier=1.0, weight_decay=None):
        if learning_rate_multiplier != 1.0:
            raise ValueError("LBFGS takes one step for all weights; leave learning_rate_multiplier out")
        super().add_group(var_list, var_names, learning_rate_multiplier, weight_decay)

    # ---- a step

    @of_its_layers
    def step(self, model, closure=None, loss=None):
        """Up to `max_iter` iterations on one batch.

        Args:
            model: a built model.
            closure: makes forward, loss and backward on the batch, and returns the loss.
            loss: the loss, where the gradient of these weights is there already.

        Returns:
            the loss at first.

        Raises:
            TypeError: no closure.
        """
        if not callable(closure):
            raise TypeError(
                f"LBFGS.step needs a function that computes loss and gradients again, got {closure!r}; write "
                "optimizer.step(model, closure) where closure() makes forward, loss and backward and returns the loss"
            )
        store = self._store_of(model)
        self._adopt(store)
        decay = self._segments_of(store)
        v = Vectors(store, self._segments[2])

        def again():
            store.touch()  # the weights are others
            return self._decayed(v, decay, float(closure()))

        try:
            first = self._iterate(v, again, self._decayed(v, decay, loss))
        finally:
            store.touch()
        if self.use_ema:
            self.follow(v.k, store.data, self._segments[2])
        self.iterations += 1
        store.touch()
        return first

    def _decayed(self, v, segments, loss):
        """The loss, and in place the gradient, with the weight decay's part."""
        if loss is None or not segments[:, 3].any():
            return loss
        v.k.combine(v.g, v.p, np.column_stack([segments[:, :2], segments[:, 3], segments[:, 3:]]), np.array([1.0, 1.0]))
        squares = np.zeros(len(segments))
        v.k.dot(v.p, v.p, segments, out=squares)
        return loss + 0.5 * sum((squares * segments[:, 3]).tolist())

    def _iterate(self, v, closure, loss):
        first = loss = closure() if loss is None else loss
        if not math.isfinite(first):
            fix = (
                f"check the data and the weights, or {_SMALLER}"
                if self.iterations > 1
                else "check the data and the weights"
            )
            self._stop(f"the loss is {first} before the first iteration", fix)
        evaluations, limit, state = 1, self.max_eval or self.max_iter * 5 // 4, self.state
        start = None if self.line_search_fn else v.new()
        if self._is_flat(v, "before the first iteration"):
            return first
        for iteration in range(1, self.max_iter + 1):
            self._n_iter += 1
            d = state["d"]
            if self._n_iter == 1:
                v.scale(d, -1.0, v.g)
                self._t = min(1.0, 1.0 / v.sum_abs(v.g)) * self.learning_rate
            else:
                self._remember(v)
                self._direction(v)
                self._t = self.learning_rate
            v.scale(state["previous"], 1.0, v.g)
            before, slope = loss, v.dot(v.g, d)
            if not math.isfinite(slope):
                self._stop(f"the direction of iteration {iteration} is not finite", f"pass {_SMALLER}")
            if slope > -self.tolerance_change:
                break
            if self.line_search_fn:
                left = limit - evaluations
                loss, self._t, more = strong_wolfe(v, closure, d, self._t, loss, slope, left, self.tolerance_change)
                evaluations += more
                if not math.isfinite(loss):
                    self._stop(
                        f"the loss is {loss} at every step length of iteration {iteration}; the weights are those "
                        "before it",
                        f"pass {_SMALLER}",
                    )
            else:
                v.scale(start, 1.0, v.p)
                v.add(v.p, self._t, d)
                if iteration < self.max_iter:  # no use for the gradient after the last one
                    loss = closure()
                    evaluations += 1
                if not math.isfinite(loss):
                    v.scale(v.p, 1.0, start)
                    self._stop(
                        f"the loss is {loss} after iteration {iteration}; the weights are those before it",
                        f'pass line_search_fn="strong_wolfe", or {_SMALLER}',
                    )
            change = abs(self._t) * v.largest(d)
            if (
                evaluations >= limit
                or self._is_flat(v, f"after iteration {iteration}", start)
                or change <= self.tolerance_change
                or abs(loss - before) < self.tolerance_change
            ):
                break
        return first

    def _is_flat(self, v, when, start=None):
        """Whether no number of the gradient is larger than `tolerance_grad`; raises where one is not finite, with the
        weights at `start` if that is given."""
        if not math.isfinite(v.sum_abs(v.g)):
            if start is not None:
                v.scale(v.p, 1.0, start)
            self._stop(f"the gradient holds numbers that are not finite {when}", "check backward and the data")
        return v.largest(v.g) <= self.tolerance_grad

    def _stop(self, what, fix):
        """Forget the curvature, so that a next step begins anew, and raise."""
        self._n_iter, self._order, self._ro, self._diagonal = 0, [], [], 1.0
        raise FloatingPointError(f"LBFGS: {what}; {fix}")

    def _remember(self, v):
        """y and s of the step before, unless the loss curves down there."""
        state, d = self.state, self.state["d"]
        place = self._order[0] if len(self._order) == self.history_size else len(self._order)
        y, s = v.new(), v.new()
        v.scale(y, 1.0, v.g)
        v.add(y, -1.0, state["previous"])
        v.scale(s, self._t, d)
        ys = v.dot(y, s)
        if ys > 1e-10:
            if place in self._order:
                del self._order[0], self._ro[0]
            state[f"y{place}"], state[f"s{place}"] = y, s
            self._order.append(place)
            self._ro.append(1.0 / ys)
            self._diagonal = ys / v.dot(y, y)

    def _direction(self, v):
        """d = −H g"""
        state, d = self.state, self.state["d"]
        v.scale(d, -1.0, v.g)
        weights = []
        for place, ro in zip(reversed(self._order), reversed(self._ro)):
            weights.append(v.dot(state[f"s{place}"], d) * ro)
            v.add(d, -weights[-1], state[f"y{place}"])
        v.scale(d, self._diagonal, d)
        for place, ro, weight in zip(self._order, self._ro, reversed(weights)):
            v.add(d, weight - v.dot(state[f"y{place}"], d) * ro, state[f"s{place}"])


class Vectors:
    """The arithmetic of flat arrays, over the weights that are trainable.

    Attributes:
        p, g: the model's weights and gradients.
    """

    def __init__(self, store, segments):
        self.k, self.p, self.g, self.segments, self.device = (
            store.device.full.kernels, store.data, store.grad, segments, store.device,
        )  # fmt: skip

    def new(self):
        """An array of zeros like p."""
        return self.device.zeros(self.p.shape, self.p.dtype)

    def scale(self, x, a, y):
        """x = a y"""
        self.k.combine(x, y, self.segments, np.array([0.0, a]))

    def add(self, x, a, y):
        """x = x + a y"""
        self.k.combine(x, y, self.segments, np.array([1.0, a]))

    def dot(self, x, y):
        """Σ x y"""
        return sum(self._each(self.k.dot, x, y))

    def sum_abs(self, x):
        """Σ |x|"""
        return sum(self._each(self.k.sum_abs, x))

    def largest(self, x):
        """max |x|"""
        return max(self._each(self.k.max_abs, x), default=0.0)

    def _each(self, kernel, *arrays):
        out = np.zeros(len(self.segments))
        kernel(*arrays, self.segments, out=out)
        return out.tolist()
