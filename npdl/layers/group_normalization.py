"""GroupNormalization and InstanceNormalization: each sample's channels, in groups, with mean 0 and variance 1."""

import math
import numbers

from npdl import initializers
from npdl.layers.base import Layer
from npdl.layers.normalizing import channel_axis, check_epsilon, moved, moved_back, order_with_last


class GroupNormalization(Layer):
    """Group normalization: subtract the mean of a group of channels of a sample, divide by its deviation.

        forward     x̂ = (x − μ) / σ        σ = √(v + ε)        y = γ x̂ + β
                    μ, v = mean and variance of a sample over all positions and over the K = C / G channels of a group
        backward    g = γ dy
                    dβ = Σ dy       dγ = Σ dy x̂                         over samples and positions
                    dx = (g − Σ g / (P K) − x̂ Σ g x̂ / (P K)) / σ        over each group, P positions

    Training and inference do the same, and no sample sees another.

    Shapes: x, y (N, ..., C), or with C at `axis` · gamma γ, beta β (C,).
    Saves: x, and μ and 1/σ of each sample and group, to make x̂ again.

    Args:
        groups: G, divides the number of channels; -1 for as many as there are channels.
        axis: of the channels, counted with the batch as 0.
        epsilon: ε.
        center, scale: whether there is a β, a γ.
        beta_initializer, gamma_initializer: name or `npdl.initializers` object.
        gamma_regularizer, beta_regularizer: name or `npdl.regularizers` object.
        gamma_constraint, beta_constraint: name or `npdl.constraints` object.

    Raises:
        ValueError: an axis that samples do not have, groups that do not divide the channels, epsilon below 0.

    Reference: Wu and He, Group Normalization, 2018.

    >>> list(GroupNormalization(groups=4).init(input_shape=(6, 6, 8)).params)
    ['gamma', 'beta']
    """

    ruled = ("gamma", "beta")

    def __init__(
        self, groups=32, axis=-1, epsilon=1e-3, center=True, scale=True,
        beta_initializer="zeros", gamma_initializer="ones", **base,
    ):  # fmt: skip
        super().__init__(**base)
        whole = isinstance(groups, numbers.Integral) and not isinstance(groups, bool)
        if not whole or (groups < 1 and groups != -1):
            raise ValueError(
                f"{type(self).__name__} needs groups to be a whole number of at least 1, or -1 for one a channel, "
                f"got groups={groups!r}; pass e.g. GroupNormalization(groups=8)"
            )
        self.groups, self.axis, self.epsilon = int(groups), axis, check_epsilon(self, epsilon)
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = map(initializers.get, (beta_initializer, gamma_initializer))

    def build(self, input_shape):
        place = channel_axis(self, input_shape)
        self.order, channels = order_with_last(len(input_shape) + 1, (place,)), input_shape[place - 1]
        self.parts = channels if self.groups == -1 else self.groups
        if channels % self.parts:
            divisors = [g for g in range(1, channels + 1) if channels % g == 0]
            raise ValueError(
                f"{self.name}: groups={self.groups} does not divide {channels} channels; pass one of {divisors[-8:]}, "
                "or -1 for one group a channel"
            )
        if self.scale:
            self.add_weight((channels,), self.gamma_initializer, name="gamma")
        if self.center:
            self.add_weight((channels,), self.beta_initializer, name="beta")
        return input_shape

    def forward(self, x, training=False):
        last = moved(self, x, self.order, "x")
        flat = last.reshape((len(x), math.prod(last.shape[1:-1]), last.shape[-1]))
        gamma, beta = self.params.get("gamma"), self.params.get("beta")
        y = self.buffer("y", flat.shape)
        mean, inverse = (self.buffer(name, (len(x), self.parts)) for name in ("mean", "inverse"))
        # y = γ (x − μ)/σ + β
        self.k.group_norm(flat, self.parts, gamma, beta, self.epsilon, out=y, mean=mean, inverse=inverse)
        if training:
            self.save(flat, mean, inverse)
        else:
            self.forget()
        return moved_back(self, y.reshape(last.shape), self.order, "y in place")

    def backward(self, dy):
        flat, mean, inverse = self.saved()
        last = moved(self, dy, self.order, "dy")
        g = last.reshape(flat.shape)
        dx = self.inplace("dx", g) if self.needs_dx else None
        self.k.group_norm_grad(
            g, flat, self.parts, mean, inverse, self.params.get("gamma"),
            dx=dx, dgamma=self.grads.get("gamma"), dbeta=self.grads.get("beta"),
        )  # fmt: skip
        return None if dx is None else moved_back(self, dx.reshape(last.shape), self.order, "dx in place")


class InstanceNormalization(GroupNormalization):
    """Instance normalization: subtract each channel's mean over the positions of a sample, divide by its deviation.

    `GroupNormalization` with one group a channel, and the defaults of PyTorch's InstanceNorm: no γ and β, ε = 1e-5.
    Keras has no such layer.

    Shapes: x, y (N, ..., C) · gamma γ, beta β (C,).

    Args:
        axis: of the channels, counted with the batch as 0.
        epsilon: ε.
        center, scale: whether there is a β, a γ.
        beta_initializer, gamma_initializer: name or `npdl.initializers` object.
        gamma_regularizer, beta_regularizer: name or `npdl.regularizers` object.
        gamma_constraint, beta_constraint: name or `npdl.constraints` object.

    Reference: Ulyanov, Vedaldi and Lempitsky, Instance Normalization, 2016.

    >>> InstanceNormalization().init(input_shape=(6, 6, 8)).count_params()
    0
    """

    def __init__(
        self, axis=-1, epsilon=1e-5, center=False, scale=False,
        beta_initializer="zeros", gamma_initializer="ones", **base,
    ):  # fmt: skip
        super().__init__(-1, axis, epsilon, center, scale, beta_initializer, gamma_initializer, **base)
