"""Backpropagation by hand: the training loop without `fit`, with every gradient in sight.

It teaches the chain rule as code. A forward pass goes up through the layers, the loss gives dL/dlogits, and each
layer's backward turns the gradient of its output into that of its input, leaving those of its weights in `grads`.
Nothing is believed: every gradient is compared with the slope of the loss itself. At the end the same loop trains a
net, and `fit` turns out to do exactly this, to the last bit.

    python examples/manual_backprop.py
"""

import sys

import numpy as np

import npdl
from npdl import Sequential, layers

np.set_printoptions(precision=6, suppress=True, floatmode="fixed", sign=" ")

# ---- 1. One forward and one backward on three points, in float64 so that slopes can be measured precisely
hidden, output = layers.Dense(4, activation="tanh", name="hidden"), layers.Dense(3, name="output")
model = Sequential([layers.Input((2,)), hidden, output], seed=1, dtype="float64")
loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
x = np.array([[0.5, -1.0], [1.5, 0.3], [-0.7, 0.8]])
y = np.array([0, 2, 1])


def forward():
    """The loss of the three points, one layer after the other."""
    h = hidden.forward(x, training=True)  # h = tanh(x W₁ + b₁)
    logits = output.forward(h, training=True)  # logits = h W₂ + b₂
    return loss.forward(y, logits)  # L = mean of −log softmax(logits)[y]


print(f"loss {forward():.6f}\n")
dlogits = loss.backward()  # dL/dlogits
dh = output.backward(dlogits)  # fills output.grads, gives dL/dh
dx = hidden.backward(dh)  # fills hidden.grads, gives dL/dx

# ---- 2. The same gradients measured: move one number by ±ε and see how the loss answers, (L(+ε) − L(−ε)) / 2ε
EPSILON = 1e-6
worst = 0.0
checked = [(x, dx, "x")]
for layer in (hidden, output):
    checked += [(layer.params[name], layer.grads[name].copy(), f"{layer.name} {name}") for name in layer.params]
for values, gradient, name in checked:
    slopes = np.empty_like(values)
    for index in np.ndindex(values.shape):
        kept = values[index]
        values[index] = kept + EPSILON
        up = forward()
        values[index] = kept - EPSILON
        down = forward()
        values[index] = kept
        slopes[index] = (up - down) / (2 * EPSILON)
    worst = max(worst, np.abs(gradient - slopes).max())
    print(f"dL/d {name}          by backward | measured")
    for row, measured in zip(np.atleast_2d(gradient), np.atleast_2d(slopes), strict=True):
        print(f"    {row} | {measured}")

print(f"\nlargest difference {worst:.1e} (must be below 1e-8)")
report = model.gradient_check(x, y)  # the same in one call, for any model and loss
print(f"{report}\n")
if worst >= 1e-8 or not report.ok:
    sys.exit("a gradient is wrong")

# ---- 3. The training loop, on three arms of a spiral; and fit on an equal model, with the same seed
rng = np.random.default_rng(0)
labels = np.arange(600) % 3
radius = rng.uniform(0.1, 1, 600)
angle = 4 * radius + 2 * np.pi / 3 * labels + 0.2 * rng.standard_normal(600)
points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype("float32")

by_hand = Sequential([layers.Input((2,)), layers.Dense(32, activation="relu"), layers.Dense(3)], seed=0)
with_fit = npdl.clone_model(by_hand)

optimizer = npdl.optimizers.Adam(0.02)
for epoch in range(60):
    for x, y in npdl.data.batches(points, labels, batch_size=32, seed=by_hand.seed, epoch=epoch):
        logits = by_hand.forward(x, training=True)
        value = loss.forward(y, logits)
        by_hand.backward(loss.backward())
        optimizer.step(by_hand)

with_fit.compile(npdl.optimizers.Adam(0.02), loss)
with_fit.fit(points, labels, batch_size=32, epochs=60, verbose=0)
same = all(np.array_equal(a, b) for a, b in zip(by_hand.get_weights(), with_fit.get_weights(), strict=True))
accuracy = 100 * np.mean(by_hand.predict(points).argmax(axis=1) == labels)

print(f"the loop by hand and fit give the same weights, bit for bit: {same} (must be True)")
print(f"accuracy on the spiral {accuracy:.1f} % (must reach 95.0 %)")
if not same or accuracy < 95:
    sys.exit("the loop by hand falls short")
