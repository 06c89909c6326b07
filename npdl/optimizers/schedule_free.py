"""ScheduleFreeAdamW: AdamW without a schedule, by a mean of the weights that is taken along."""

import numpy as np

from npdl.optimizers.base import Optimizer, of_its_layers
from npdl.schedules.exact import whole_power


class ScheduleFreeAdamW(Optimizer):
    """Schedule-free AdamW: Adam's steps lead z along, x is the mean of all z, and gradients are taken between the two.

        d = g + λ p                                         g at p, the weights while training
        velocity = β₂ velocity + (1 − β₂) d²
        z = z − η min(t / warmup_steps, 1) d / (√(velocity / (1 − β₂ᵗ)) + ε)
        x = x + (z − x) / t                                 t = 1, 2, ... the number of the step
        p = (1 − β₁) z + β₁ x                               p, z and x are one at first

    The state is z, under Keras' name `momentum`, and `velocity`; x is found from p and z. It is x that predicts well:
    `swap_to_eval(model)` makes it the weights, `swap_to_train(model)` takes p back. Formulas, names and defaults are
    Keras'. There both have no argument and must be called by hand; here the end of `fit` calls the first, and a step
    calls the second if need be, though its gradient was taken at x then. Validation within `fit` is of p. Weights that
    are assigned after `fit`, as by a callback that restores the best ones, are taken for x.

    Args:
        learning_rate: η.
        beta_1: β₁, above 0 and below 1.
        beta_2, epsilon: β₂, ε, as of `Adam`.
        warmup_steps: how many steps η rises from 0.
        weight_decay: λ; None is 0. With `decoupled_weight_decay` p = (1 − η λ) p beside the gradient step, as in Keras.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        TypeError, ValueError: a number out of range.

    References:
        Defazio et al., The Road Less Scheduled, 2024.

    >>> ScheduleFreeAdamW(warmup_steps=100)
    ScheduleFreeAdamW(learning_rate=0.0025, warmup_steps=100)
    """

    def __init__(
        self, learning_rate=0.0025, beta_1=0.9, beta_2=0.999, epsilon=1e-8, warmup_steps=0, weight_decay=None,
        name="schedule_free_adamw", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        self.beta_1 = self.check("beta_1", beta_1, below=1, example=0.9)
        self.beta_2 = self.check("beta_2", beta_2, below=1, example=0.999)
        self.epsilon = self.check("epsilon", epsilon, example=1e-8)
        if self.beta_1 == 0:
            raise ValueError("ScheduleFreeAdamW: beta_1 must be above 0, or p says nothing of x; pass e.g. beta_1=0.9")
        if isinstance(warmup_steps, bool) or not isinstance(warmup_steps, int) or warmup_steps < 0:
            raise ValueError(
                f"ScheduleFreeAdamW: warmup_steps must be a whole number of at least 0, got {warmup_steps!r}; "
                "pass e.g. warmup_steps=100"
            )
        self.warmup_steps, self.swapped = warmup_steps, False

    def slots(self):
        return ("momentum", "velocity")

    def initial(self, name):
        return None if name == "momentum" else 0.0

    def scalars(self):
        return {"swapped": float(self.swapped)}

    def set_scalars(self, scalars):
        self.swapped = bool(scalars.get("swapped", False))

    @property
    def turn(self):
        return (*super().turn, *(("swaps",) if self.swapped else ()))

    def update(self, k, p, g, segments):
        if self.swapped:
            self._swap(k, p, False)
        t = self.iterations + 1
        hyper = np.array([
            self.learning_rate, min(t / (self.warmup_steps or 1), 1.0), self.beta_1, self.beta_2,
            1 - whole_power(self.beta_2, t), self.epsilon, 1 / t, self.decoupled_weight_decay,
        ])  # fmt: skip
        k.schedule_free(p, g, self.state["momentum"], self.state["velocity"], segments, hyper)

    def swap_to_eval(self, model):
        """Make the model's trainable weights x, the mean; nothing where they are."""
        self._swap_of(model, True)

    def swap_to_train(self, model):
        """Make them p again, where the next gradient is to be taken; nothing where they are."""
        self._swap_of(model, False)

    @of_its_layers
    def _swap_of(self, model, to_eval):
        store = self._store_of(model)
        self._adopt(store)
        self._segments_of(store)
        if self.iterations and self.swapped != to_eval:
            self._swap(store.device.full.kernels, store.data, to_eval)
            store.touch()

    def _swap(self, k, p, to_eval):
        """x = (p − (1 − β₁) z) / β₁, or p = β₁ x + (1 − β₁) z"""
        b, z = self.beta_1, self.state["momentum"]
        k.combine(p, z, self._segments[2], np.array([1 / b, (b - 1) / b] if to_eval else [b, 1 - b]))
        self.swapped = to_eval

    def finalize(self, model):
        super().finalize(model)
        if not self.use_ema:
            self.swap_to_eval(model)
