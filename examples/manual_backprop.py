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

# ---- 1. Three points up through two layers, and the gradients down again (in float64, to measure slopes precisely)
hidden, output = layers.Dense(4, activation="tanh", name="hidden"), layers.Dense(3, name="output")
model = Sequential([layers.Input((2,)), hidden, output], seed=1, dtype="float64")
loss = npdl.losses.SparseCategoricalCrossentropy(from_logits=True)
x = np.array([[0.5, -1.0], [1.5, 0.3], [-0.7, 0.8]])
y = np.array([0, 2, 1])

h = hidden.forward(x, training=True)  # h = tanh(x W₁ + b₁)
logits = output.forward(h, training=True)  # logits = h W₂ + b₂
value = loss.forward(y, logits)  # L = mean of −log softmax(logits)[y]
dlogits = loss.backward()  # dL/dlogits
dh = output.backward(dlogits)  # dL/dh, and output.grads: dL/dW₂, dL/db₂
dx = hidden.backward(dh)  # dL/dx, and hidden.grads: dL/dW₁, dL/db₁
print(f"loss {value:.6f}\n")


# ---- 2. Is it true? Move one number by ±ε and see how the loss answers
def measure(values, loss_now, epsilon=1e-6):
    """(L(+ε) − L(−ε)) / 2ε for each of `values`, which are moved in place and put back."""
    slopes = np.empty_like(values)
    for index in np.ndindex(values.shape):
        kept = values[index]
        values[index] = kept + epsilon
        up = loss_now()
        values[index] = kept - epsilon
        slopes[index] = (up - loss_now()) / (2 * epsilon)
        values[index] = kept
    return slopes


to_check = {
    "logits": (logits, dlogits, lambda: loss.forward(y, logits)),
    "h": (h, dh, lambda: loss.forward(y, output.forward(h))),
    "x": (x, dx, lambda: loss.forward(y, model.forward(x))),
}
for layer in (output, hidden):
    for name, weights in layer.params.items():
        to_check[f"{layer.name} {name}"] = weights, layer.grads[name], lambda: loss.forward(y, model.forward(x))

worst = 0.0
for name, (values, gradient, loss_now) in to_check.items():
    slopes = measure(values, loss_now)
    worst = max(worst, np.abs(gradient - slopes).max())
    print(f"dL/d {name}, by backward | measured")
    for row, measured in zip(np.atleast_2d(gradient), np.atleast_2d(slopes), strict=True):
        print(f"    {row} | {measured}")
print(f"\nlargest difference {worst:.1e} (must be below 1e-8)")

report = model.gradient_check(x, y)  # the same in one call, for any model, loss and data
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
    for xb, yb in npdl.data.batches(points, labels, batch_size=32, seed=by_hand.seed, epoch=epoch):
        logits = by_hand.forward(xb, training=True)
        value = loss.forward(yb, logits)
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
