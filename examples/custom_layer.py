"""A layer of your own: write forward and backward in NumPy, have them checked, train, save and load.

It teaches the contract of a layer on Swish with a learnable slope, y = x σ(βx): near a straight line for β = 0, near
ReLU for large β; each channel finds its own β. And it shows what happens to a wrong backward: `fit` does not train it.

    python examples/custom_layer.py

Reference: Ramachandran, Zoph and Le, Searching for Activation Functions, 2017.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import npdl
from npdl import Sequential, layers
from npdl.activations import sigmoid


@npdl.register  # so that load_model knows the class
class Swish(layers.Layer):
    """Swish with one learnable slope β a channel.

        forward     s = σ(βx)       y = x s
        backward    dx = dy (s + βx s (1 − s))          dβ = Σ dy x² s (1 − s)

    Shapes: x, y (N, ..., C) · beta (C,). Saves: x and s.
    """

    def build(self, input_shape):
        self.add_weight(input_shape[-1:], "ones", name="beta")
        return input_shape

    def forward(self, x, training=False):
        s = sigmoid(self.params["beta"] * x)
        if training:
            self.save(x, s)
        else:
            self.forget()
        return x * s

    def backward(self, dy):
        x, s = self.saved()
        beta = self.params["beta"]
        slope = s * (1 - s)
        self.grads["beta"][...] = (dy * x * x * slope).reshape(-1, x.shape[-1]).sum(axis=0)
        return dy * (s + beta * x * slope)


class WrongSwish(Swish):
    """Swish whose author forgot that s depends on x too."""

    def backward(self, dy):
        super().backward(dy)
        _, s = self.saved()
        return dy * s


# 1. Is the backward right? And does the layer keep the whole contract: dtypes, batches of any size, a copy by config?
#    strict=False: it computes with NumPy instead of npdl's kernels.
swish = Swish().init(input_shape=(4,), seed=0)
print(npdl.testing.gradient_check(swish, np.random.default_rng(0).standard_normal((5, 4))))
npdl.testing.check_layer(swish, input_shape=(4,), strict=False)

# 2. Train it: y = sin(3x) from 400 points.
x = np.linspace(-2, 2, 400, dtype="float32")[:, None]
y = np.sin(3 * x)
model = Sequential([layers.Dense(32), Swish(), layers.Dense(32), Swish(), layers.Dense(1)], seed=0)
model.compile(npdl.optimizers.Adam(0.01), "mse")
model.fit(x, y, epochs=100, verbose=0)
error = float(np.sqrt(np.mean((model.predict(x) - y) ** 2)))
betas = model.layers[1].params["beta"]
print(f"the first layer's β went from 1 to {betas.min():.2f} ... {betas.max():.2f}")

# 3. Save it, load it: the same model to the last bit.
with tempfile.TemporaryDirectory() as folder:
    model.save(Path(folder) / "swish.npdl")
    same = np.array_equal(npdl.load_model(Path(folder) / "swish.npdl").predict(x), model.predict(x))

# 4. A wrong backward does not get past the first batch of fit.
wrong = Sequential([layers.Dense(8), WrongSwish(), layers.Dense(1)], seed=0)
wrong.compile("adam", "mse")
try:
    wrong.fit(x, y, verbose=0)
    sys.exit("the wrong backward was not noticed")
except ValueError as message:
    print(f"fit refused the wrong layer:\n{message}")

print(f"typical error of sin(3x) {error:.4f} (must be below 0.1), saved and loaded alike: {same} (must be True)")
if error >= 0.1 or not same:
    sys.exit("the custom layer falls short")
