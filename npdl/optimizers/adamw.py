"""AdamW: Adam with weight decay beside the gradient step."""

from npdl.optimizers.adam import Adam


class AdamW(Adam):
    """Adam whose weight decay does not pass through the running means.

        p = (1 − η λ) p
        m = β₁ m + (1 − β₁) g
        v = β₂ v + (1 − β₂) g²
        p = p − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)          t = 1, 2, ... the number of the step

    The formulas are PyTorch's, the defaults Keras' (λ = 0.004; PyTorch's is 0.01). As in both, every weight decays,
    biases and normalisation too, except what `exclude_from_weight_decay` names. Keras adds ε to the uncorrected √v.

    Args:
        learning_rate: η.
        weight_decay: λ.
        beta_1, beta_2, epsilon, amsgrad, name: as in `Adam`.

    Raises:
        ValueError: as `Adam`, or weight_decay is None.

    References:
        Loshchilov and Hutter, Decoupled weight decay regularization, 2019.

    >>> AdamW(weight_decay=0.01)
    AdamW(learning_rate=0.001, weight_decay=0.01)
    """

    def __init__(
        self, learning_rate=0.001, weight_decay=0.004, beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False,
        name="adamw", **services,
    ):  # fmt: skip
        if weight_decay is None:
            raise ValueError("AdamW: weight_decay must be a number, got None; pass weight_decay=0.004, or use Adam")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, name, **services)

    def update(self, k, p, g, segments):
        k.adamw(p, g, self.state["m"], self.state["v"], segments, self.hyper(), self.state.get("v_max"))
