"""BatchNormalization: each channel with mean 0 and variance 1 over the batch."""

from npdl import activations, initializers
from npdl.layers.normalizing import channel_axis, moved, moved_back, order_with_last
from npdl.layers.pooled import Pooled


class BatchNormalization(Pooled):
    """Batch normalization: subtract each channel's mean over the batch, divide by its deviation, scale and shift.

        forward     x̂ = (x − μ) / σ        σ = √(v + ε)        y = γ x̂ + β
                    training    μ, v = mean and variance of x over all axes but that of the channels;
                                moving = momentum · moving + (1 − momentum) · (μ, v)
                    inference   μ, v = the moving ones
        backward    dβ = Σ dy       dγ = Σ dy x̂        dx = γ/σ (dy − dβ/n − x̂ dγ/n)

    n is the number of rows that are averaged over. v is the biased variance Σ (x − μ)² / n, in the moving average too,
    as in Keras (PyTorch's running variance is the unbiased one). With trainable=False the moving statistics are used
    and kept in training as well; then μ, v are constants and dx = γ/σ dy. A training batch of one row has v = 0 and
    y = β, and teaches nothing below it; PyTorch raises there.

    Shapes: x, y (N, ..., C), or with C at `axis` · gamma γ, beta β, moving_mean, moving_variance (C,).
    Saves: x, and μ, v to make x̂ again: that costs less than keeping it.

    Args:
        axis: of the channels, counted with the batch as 0; another than the last costs a copy each way.
        momentum: of the moving average.
        epsilon: ε.
        center, scale: whether there is a β, a γ.
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: name or
            `npdl.initializers` object.
        gamma_regularizer, beta_regularizer: name or `npdl.regularizers` object.
        gamma_constraint, beta_constraint: name or `npdl.constraints` object.

    Raises:
        ValueError: an axis that samples do not have, momentum outside 0 ... 1, epsilon below 0.

    Reference: Ioffe and Szegedy, Batch Normalization, 2015.

    >>> list(BatchNormalization().init(input_shape=(14, 14, 8)).params)
    ['gamma', 'beta']
    """

    ruled = ("gamma", "beta")
    activation = activations.linear  # a model puts the ReLU layer that follows here, inside fit and predict

    def __init__(
        self, axis=-1, momentum=0.99, epsilon=1e-3, center=True, scale=True,
        beta_initializer="zeros", gamma_initializer="ones",
        moving_mean_initializer="zeros", moving_variance_initializer="ones", **base,
    ):  # fmt: skip
        super().__init__(**base)
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNormalization needs momentum in 0 ... 1, got {momentum!r}; pass e.g. momentum=0.99")
        if not epsilon >= 0:
            raise ValueError(f"BatchNormalization needs epsilon of at least 0, got {epsilon!r}; pass e.g. epsilon=1e-3")
        self.axis, self.momentum, self.epsilon, self.center, self.scale = axis, momentum, epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = map(initializers.get, (beta_initializer, gamma_initializer))
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape):
        place = channel_axis(self, input_shape)
        self.order, channels = order_with_last(len(input_shape) + 1, (place,)), (input_shape[place - 1],)
        if self.scale:
            self.add_weight(channels, self.gamma_initializer, name="gamma")
        if self.center:
            self.add_weight(channels, self.beta_initializer, name="beta")
        self.add_weight(channels, self.moving_mean_initializer, name="moving_mean", trainable=False)
        self.add_weight(channels, self.moving_variance_initializer, name="moving_variance", trainable=False)
        return input_shape

    def forward(self, x, training=False):
        return self.joined(x, training, self.activation)

    def joined(self, x, training, activation, shortcut=None):
        """a(y + shortcut) in one pass over memory, for `Residual`."""
        gamma, beta = self.params.get("gamma"), self.params.get("beta")
        mean, variance = self.state["moving_mean"], self.state["moving_variance"]
        frozen, x = not (self.varies(training) and self.trainable and x.size), moved(self, x, self.order, "x")
        if not frozen:
            mean, variance = self.buffer("mean", mean.shape), self.buffer("variance", mean.shape)
            self.k.batch_norm_statistics(x, mean=mean, variance=variance)  # μ, v
            self.k.moving_average(mean, self.momentum, out=self.state["moving_mean"])
            self.k.moving_average(variance, self.momentum, out=self.state["moving_variance"])
        given = x, mean, variance, gamma, beta, self.epsilon
        if self.pool is not None:
            y, winners, ending = self.behind(x.shape, training)
            self.k.batch_norm_pooled(*given, out=y, winners=winners, activation=ending)  # y = max over 2 x 2
            kept = winners, x, mean, variance, frozen
        else:
            y, kept = self.buffer("y", x.shape), (x, mean, variance, frozen)
            self.k.batch_norm(*given, out=y, activation=activation, shortcut=shortcut)  # y = γ (x − μ)/σ + β
        if training:
            self.save(*kept)
        else:
            self.forget()
        return moved_back(self, y, self.order, "y in place")

    def backward(self, dy, y=None, dz=None):
        """dx; behind ReLU(... + shortcut) = y: dz gets dy where y > 0, else 0, and dx is made of that."""
        if self.pool is not None:
            return self.backward_pooled(dy)
        x, mean, variance, frozen = self.saved()
        gamma, beta = self.params.get("gamma"), self.params.get("beta")
        dy = moved(self, dy, self.order, "dy")
        dx = self.inplace("dx", dy) if self.needs_dx else None
        grad = self.k.batch_norm_frozen_grad if frozen else self.k.batch_norm_grad
        grad(
            dy, x, mean, variance, gamma, self.epsilon,
            dx=dx, dgamma=self.grads.get("gamma"), dbeta=self.grads.get("beta"), beta=beta, activation=self.activation,
            y=y, dz=dz,
        )  # fmt: skip
        return None if dx is None else moved_back(self, dx, self.order, "dx in place")

    def backward_pooled(self, dy):
        """As `backward`, of dy at the winner of each 2 x 2."""
        winners, x, mean, variance, frozen = self.saved()
        dx = self.buffer("dx", x.shape) if self.needs_dx else None
        self.k.batch_norm_pooled_grad(
            dy, winners, x, mean, variance, self.params.get("gamma"), self.epsilon,
            dx=dx, dgamma=self.grads.get("gamma"), dbeta=self.grads.get("beta"), frozen=frozen,
        )  # fmt: skip
        return dx
