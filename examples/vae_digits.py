"""Draw digits that nobody wrote: a variational auto-encoder squeezes every picture into two numbers.

It teaches a net that draws random numbers inside and still has a gradient. The encoder gives no code but a distribution
of codes, N(μ, σ²) with σ² = exp(v); a layer of our own draws z = μ + σ ε, and adds a term of its own to the loss, which
keeps the codes near N(0, 1), where new ones can be drawn (Kingma and Welling, 2013). In nats a picture:

    L = Σ cross-entropy(x, decoder(z)) + KL(N(μ, σ²) ‖ N(0, 1))         a bound on −log p(x) where x is 0 or 1

    python examples/vae_digits.py [--full] [--out DIR]        --full: MNIST, a minute, must reach 160.0
"""

import argparse
import sys
from pathlib import Path
from statistics import NormalDist

import numpy as np
from matplotlib.figure import Figure

import npdl
from npdl import Model, Sequential, datasets, layers

parser = argparse.ArgumentParser(description="Train a variational auto-encoder on handwritten digits.")
parser.add_argument("--full", action="store_true", help="MNIST")
parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="where the picture goes (this folder)")
options = parser.parse_args()
data = datasets.mnist if options.full else datasets.digits
white, units, batch_size, epochs, must_reach = (255, 512, 128, 10, 160.0) if options.full else (16, 128, 32, 40, 25.2)


def divergence(mean, log_var):
    """KL = Σ (exp(v) + μ² − 1 − v) / 2 of each picture's codes, as a mean over the pictures"""
    return np.sum(np.exp(log_var) + mean**2 - 1 - log_var) / 2 / len(mean)


class Draw(layers.Layer):
    """z = μ + exp(v/2) ε,  ε ~ N(0, 1),  z = μ where it does not train;      L gets KL, a mean over N pictures

    dμ = dz + μ / N,    dv = dz ε exp(v/2) / 2 + (exp(v) − 1) / 2N
    """

    adds_loss = True

    def build(self, input_shape):
        return input_shape[0]

    def forward(self, x, training=False):
        mean, log_var = x
        self.add_loss(divergence(mean, log_var))
        if not training:
            self.forget()
            return mean
        noise = npdl.random.normal(self.random_key(f"step {self.step}"), mean.shape).astype(mean.dtype)
        self.step += 1  # other numbers next time, and the same ones in another run
        spread = np.exp(log_var / 2) * noise
        self.save(mean, log_var, spread)
        return mean + spread

    def backward(self, dz):
        mean, log_var, spread = self.saved()
        return self.with_loss((dz, dz * spread / 2), (mean / len(mean), (np.exp(log_var) - 1) / 2 / len(mean)))


# 1. Pictures as rows of numbers 0 ... 1.
(x_train, _), (x_test, y_test) = data.load_data()
side, pixels = x_train.shape[1], x_train[0].size
x_train, x_test = (x.reshape(-1, pixels).astype("float32") / white for x in (x_train, x_test))

# 2. The encoder ends in μ and v, the decoder starts from z: two numbers a picture.
x = layers.Input((pixels,))
h = layers.Dense(units, activation="relu")(x)
mean, log_var = layers.Dense(2)(h), layers.Dense(2)(h)
decoder = Sequential([layers.Dense(units, "relu"), layers.Dense(pixels, "sigmoid")], name="decoder")
model = Model(x, decoder(Draw()([mean, log_var])), seed=0)

# 3. The cross-entropy is a mean over the pixels: it counts as often as there are pixels. `fit` checks our layer.
model.compile(npdl.optimizers.Adam(3e-3), "binary_crossentropy", loss_weights=pixels)
model.fit(x_train, x_train, batch_size, epochs, verbose=2)

# 4. The bound for pictures that it never saw, with ten codes drawn for each.
back, (codes, log_vars) = model.predict(x_test), Model(x, [mean, log_var]).predict(x_test)
rng = np.random.default_rng(0)
drawn = (codes + np.exp(log_vars / 2) * rng.standard_normal(codes.shape).astype("float32") for _ in range(10))
entropy = npdl.losses.BinaryCrossentropy(from_logits=False)
reconstruction = pixels * np.mean([entropy.forward(x_test, decoder.predict(z)) for z in drawn])
bound = reconstruction + divergence(codes, log_vars)


# 5. A picture: test digits and what came back, their codes, and what the decoder makes of a grid of codes.
def show(axes, pictures, columns, title):
    tiles = np.pad(pictures.reshape(-1, columns, side, side), ((0, 0), (0, 0), (1, 1), (1, 1)))
    axes.imshow(tiles.transpose(0, 2, 1, 3).reshape(-1, columns * (side + 2)), cmap="gray_r")
    axes.set(title=title, xticks=[], yticks=[])


places = np.array([NormalDist().inv_cdf(p) for p in np.linspace(0.03, 0.97, 15)], "float32")
figure = Figure(figsize=(15, 5), layout="constrained")
left, middle, right = figure.subplots(1, 3)
both = np.hstack([x_test[:48].reshape(6, -1), back[:48].reshape(6, -1)])
show(left, both, 8, "test digits, and below them what came back")
figure.colorbar(middle.scatter(*codes.T, c=y_test, cmap="tab10", s=8), ax=middle, ticks=range(10))
middle.set(title="the two numbers of each test digit")
show(right, decoder.predict(np.stack(np.meshgrid(places, -places), axis=-1).reshape(-1, 2)), 15, "from a grid of codes")
options.out.mkdir(parents=True, exist_ok=True)
figure.savefig(options.out / "vae_digits.png", dpi=100)

print(f"picture: {(options.out / 'vae_digits.png').resolve()}")
print(f"bound {bound:.2f} nats a test picture (must be at most {must_reach})")
if bound > must_reach:
    sys.exit("the bound is too high")
