"""Recurrent layers beside PyTorch's in float64: outputs, dx and every gradient."""

import numpy as np
import pytest

from npdl import layers

torch = pytest.importorskip("torch", reason="compares with PyTorch")
pytestmark = pytest.mark.torch

D, U, N, T = 5, 7, 4, 6
ORDER = {"LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2], "SimpleRNN": [0]}  # PyTorch's gates in Keras' order


def close(a, b):
    a, b = np.asarray(a), b.detach().numpy() if hasattr(b, "detach") else np.asarray(b)
    assert a.shape == b.shape
    assert np.max(np.abs(a - b)) <= 1e-8 * max(1e-3, np.max(np.abs(b)))


def gates(name, array, axis=0):
    """PyTorch's array with its gates in Keras' order."""
    parts = np.split(np.asarray(array), len(ORDER[name]), axis=axis)
    return np.concatenate([parts[i] for i in ORDER[name]], axis=axis)


def weights_of(name, module, end):
    """[kernel, recurrent_kernel, bias] of Keras from a module, or their gradients."""

    def get(part):
        return gates(name, part.detach().numpy())

    w_ih, w_hh, b_ih, b_hh = (
        getattr(module, f"{part}{end}") for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    kernels = [get(w_ih).T, get(w_hh).T]
    return [*kernels, np.stack([get(b_ih), get(b_hh)]) if name == "GRU" else get(b_ih) + get(b_hh)]


def gradients_of(name, module, end):
    parts = [
        gates(name, getattr(module, f"{part}{end}").grad.numpy())
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    return [parts[0].T, parts[1].T, np.stack(parts[2:]) if name == "GRU" else parts[2]]


def modules(name, **options):
    torch.manual_seed(0)
    kind = {"LSTM": torch.nn.LSTM, "GRU": torch.nn.GRU, "SimpleRNN": torch.nn.RNN}[name]
    return kind(D, U, batch_first=True, dtype=torch.float64, **options)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
@pytest.mark.parametrize("sequences", [True, False])
def test_states_and_sequences(name, sequences, rng):
    module = modules(name)
    layer = getattr(layers, name)(U, return_sequences=sequences, return_state=True)
    count = layer.states
    layer.init(((T, D), *[(U,)] * count), dtype="float64").set_weights(weights_of(name, module, "_l0"))
    x, *states = (rng.normal(size=shape) for shape in [(N, T, D), *[(N, U)] * count])
    tx, *ts = (torch.tensor(one, requires_grad=True) for one in (x, *states))
    given = tuple(s[None] for s in ts)
    y, last = module(tx, given if count > 1 else given[0])
    last = last if count > 1 else (last,)
    expected = [y if sequences else y[:, -1], *(s[0] for s in last)]
    found = layer((x, *states), training=True)
    dys = [rng.normal(size=one.shape) for one in found]
    sum((one * torch.tensor(dy)).sum() for one, dy in zip(expected, dys)).backward()
    for a, b in zip(found, expected):
        close(a, b)
    for a, b in zip(layer.backward(tuple(dys)), (tx, *ts)):
        close(a, b.grad)
    for a, b in zip(layer.grads.values(), gradients_of(name, module, "_l0")):
        close(a, b)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_bidirectional_and_padding(name, rng):
    """Padding behind sequences of different lengths is what PyTorch packs away."""
    module = modules(name, bidirectional=True)
    layer = layers.Bidirectional(getattr(layers, name)(U, return_sequences=True)).init((T, D), dtype="float64")
    layer.set_weights([*weights_of(name, module, "_l0"), *weights_of(name, module, "_l0_reverse")])
    x, lengths = rng.normal(size=(N, T, D)), [6, 3, 5, 1]
    mask = np.arange(T) < np.array(lengths)[:, None]
    tx = torch.tensor(x, requires_grad=True)
    packed = torch.nn.utils.rnn.pack_padded_sequence(tx, lengths, batch_first=True, enforce_sorted=False)
    y = torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0], batch_first=True)[0]
    found = layer(x, training=True, mask=mask)
    dy = rng.normal(size=found.shape)
    (y * torch.tensor(dy)).sum().backward()
    close(found, y)
    close(layer.backward(dy), tx.grad)
    grads = [grad for part in layer.walk() for grad in part.grads.values()]
    for a, b in zip(grads, gradients_of(name, module, "_l0") + gradients_of(name, module, "_l0_reverse")):
        close(a, b)


def test_reset_before(rng):
    """GRU with reset_after=False, its formula written out in PyTorch."""
    layer = layers.GRU(U, reset_after=False, return_sequences=True, recurrent_activation="tanh").init(
        (T, D), dtype="float64"
    )
    layer.set_weights([rng.normal(size=w.shape) for w in layer.get_weights()])
    x = rng.normal(size=(N, T, D))
    W, R, b, tx = (torch.tensor(one, requires_grad=True) for one in (*layer.get_weights(), x))
    h, ys = torch.zeros(N, U, dtype=torch.float64), []
    for t in range(T):
        z, r, g = (tx[:, t] @ W + b).split(U, dim=1)
        z, r = torch.tanh(z + h @ R[:, :U]), torch.tanh(r + h @ R[:, U : 2 * U])
        h = z * h + (1 - z) * torch.tanh(g + (r * h) @ R[:, 2 * U :])
        ys.append(h)
    y = torch.stack(ys, 1)
    found = layer(x, training=True)
    dy = rng.normal(size=found.shape)
    (y * torch.tensor(dy)).sum().backward()
    close(found, y)
    close(layer.backward(dy), tx.grad)
    for one, other in zip(layer.grads.values(), (W, R, b)):
        close(one, other.grad)


@pytest.mark.parametrize("activation", ["relu", "gelu", "linear"])
def test_other_activations(activation, rng):
    layer = layers.LSTM(3, activation=activation, return_sequences=True).init((4, D), dtype="float64")
    layer.set_weights([0.3 * rng.normal(size=w.shape) for w in layer.get_weights()])
    x = rng.normal(size=(N, 4, D))
    W, R, b, tx = (torch.tensor(one, requires_grad=True) for one in (*layer.get_weights(), x))
    a = {"relu": torch.relu, "gelu": torch.nn.functional.gelu, "linear": lambda v: v}[activation]
    h = c = torch.zeros(N, 3, dtype=torch.float64)
    ys = []
    for t in range(4):
        i, f, g, o = (tx[:, t] @ W + b + h @ R).split(3, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * a(g)
        h = torch.sigmoid(o) * a(c)
        ys.append(h)
    found = layer(x, training=True)
    dy = rng.normal(size=found.shape)
    y = torch.stack(ys, 1)
    (y * torch.tensor(dy)).sum().backward()
    close(found, y)
    close(layer.backward(dy), tx.grad)
    for one, other in zip(layer.grads.values(), (W, R, b)):
        close(one, other.grad)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_projected_states(bidirectional, rng):
    """LSTM(proj_size=...), with first states where it runs one way."""
    module = modules("LSTM", proj_size=3, bidirectional=bidirectional)
    layer, ends = layers.ProjectedLSTM(U, 3, return_sequences=True, return_state=True), ["_l0", "_l0_reverse"]
    if bidirectional:
        layer = layers.Bidirectional(layers.ProjectedLSTM(U, 3, return_sequences=True))
    ends = ends[: 1 + bidirectional]
    weights = [
        [*weights_of("LSTM", module, end), getattr(module, f"weight_hr{end}").detach().numpy().T] for end in ends
    ]
    x, dy = torch.tensor(rng.normal(size=(N, T, D)), requires_grad=True), rng.normal(size=(N, T, 3 * len(ends)))
    states = [torch.tensor(rng.normal(size=(1, N, size)), requires_grad=True) for size in (3, U)]
    given = x.detach().numpy() if bidirectional else tuple(one.detach().numpy() for one in (x, *(s[0] for s in states)))
    layer.init((T, D) if bidirectional else ((T, D), (3,), (U,)), dtype="float64")
    layer.set_weights([array for some in weights for array in some])
    y, (r, c) = module(x) if bidirectional else module(x, tuple(states))
    if bidirectional:
        close(layer(given, training=True), y)
        torch.autograd.backward([y], [torch.tensor(dy)])
        close(layer.backward(dy), x.grad)
    else:
        last = rng.normal(size=(N, 3)), rng.normal(size=(N, U))
        for one, other in zip(layer(given, training=True), (y, r[0], c[0]), strict=True):
            close(one, other)
        torch.autograd.backward([y, r, c], [torch.tensor(one) for one in (dy, last[0][None], last[1][None])])
        for one, other in zip(layer.backward((dy, *last)), (x.grad, *(s.grad[0] for s in states)), strict=True):
            close(one, other)
    expected = [array for end in ends for array in
                (*gradients_of("LSTM", module, end), getattr(module, f"weight_hr{end}").grad.numpy().T)]  # fmt: skip
    for one, other in zip([g for part in layer.walk() for g in part.grads.values()], expected, strict=True):
        close(one, other)
