"""Ftrl: follow the regularized leader."""

import numpy as np

from npdl.optimizers.base import Optimizer


class Ftrl(Optimizer):
    """FTRL: each step takes the weights that would have been best for a line through every gradient so far, with
    penalties that make some of them exactly 0.

        d = g + λ p
        n = accumulator + d²                `initial_accumulator_value` at first
        linear = linear + d + 2 s p − (n⁻ᵏ − accumulator⁻ᵏ) / η · p
        p = (clip(linear, −l1, l1) − linear) / ((n⁻ᵏ + β) / η + 2 l2)
        accumulator = n

    The formulas, names and defaults are Keras'. What a weight was at first counts only as far as its first gradients
    are large beside `initial_accumulator_value`: without a gradient it becomes 0 in the first step. A step with η = 0
    changes nothing (in Keras it divides by 0), nor does one whose quotient would be by 0. Powers other than −0.5 are
    the C library's; the same bits on every machine are promised for −0.5 alone.

    Args:
        learning_rate: η.
        learning_rate_power: k, at most 0: how fast the steps become smaller; 0 for never.
        initial_accumulator_value: what the accumulator starts from.
        l1_regularization_strength: l1, a weight whose |linear| is not above it is 0.
        l2_regularization_strength: l2.
        l2_shrinkage_regularization_strength: s, of a penalty on the weights' size instead of on their steps.
        beta: β.
        weight_decay: λ; None is 0.
        name: kept for you.
        services: clipping, averages, accumulation ..., as in `Optimizer`.

    Raises:
        ValueError: a number negative or not finite, learning_rate_power above 0.

    References:
        McMahan et al., Ad Click Prediction: a View from the Trenches, 2013.

    >>> Ftrl(0.1, l1_regularization_strength=0.01)
    Ftrl(learning_rate=0.1, l1_regularization_strength=0.01)
    """

    def __init__(
        self, learning_rate=0.001, learning_rate_power=-0.5, initial_accumulator_value=0.1,
        l1_regularization_strength=0.0, l2_regularization_strength=0.0, l2_shrinkage_regularization_strength=0.0,
        beta=0.0, weight_decay=None, name="ftrl", **services,
    ):  # fmt: skip
        super().__init__(learning_rate, weight_decay, name, **services)
        if not isinstance(learning_rate_power, (int, float)) or not -np.inf < learning_rate_power <= 0:
            raise ValueError(
                f"Ftrl: learning_rate_power must be a number of at most 0, got {learning_rate_power!r}; "
                "pass e.g. learning_rate_power=-0.5"
            )
        self.learning_rate_power = float(learning_rate_power)
        self.initial_accumulator_value = self.check("initial_accumulator_value", initial_accumulator_value, example=0.1)
        self.l1_regularization_strength = self.check("l1_regularization_strength", l1_regularization_strength)
        self.l2_regularization_strength = self.check("l2_regularization_strength", l2_regularization_strength)
        self.l2_shrinkage_regularization_strength = self.check(
            "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength
        )
        self.beta = self.check("beta", beta)

    def slots(self):
        return ("accumulator", "linear")

    def initial(self, name):
        return self.initial_accumulator_value if name == "accumulator" else 0.0

    def update(self, k, p, g, segments):
        hyper = np.array([
            self.learning_rate, self.learning_rate_power, self.l1_regularization_strength,
            self.l2_regularization_strength, self.l2_shrinkage_regularization_strength, self.beta,
            self.decoupled_weight_decay,
        ])  # fmt: skip
        k.ftrl(p, g, self.state["accumulator"], self.state["linear"], segments, hyper)
