"""Bidirectional: a recurrent layer forwards and one backwards."""

from npdl.layers.sequences import Sequences
from npdl.layers.wrapper import Wrapper, single

MODES = ("concat", "sum", "mul", "ave", None)


class Bidirectional(Wrapper):
    """Two recurrent layers, one from the first step to the last and one the other way, and both outputs together.

        forward     a = F(x)    b = B(x)        y = (a, b) | a + b | a b | (a + b) / 2
        backward    da, db from dy              dx = ∂Fᵀ da + ∂Bᵀ db

    Shapes: x (N, T, D), or (x, *states of F, *states of B) · y (N, 2 U) or (N, T, 2 U) by "concat", (N, U) or (N, T, U)
    by "sum", "mul" and "ave"; with merge_mode=None y is the tuple (a, b). With return_state (y, *states of F,
    *states of B). A mask leaves steps out in both, and with return_sequences their outputs are 0.
    Saves: a and b, for "mul"; the layers inside save their own. B's outputs stand at the steps that they belong to.

    Args:
        layer: F, an `LSTM`, `GRU`, `SimpleRNN` or `RNN`.
        merge_mode: "concat", "sum", "mul", "ave" or None.
        weights: None; call `set_weights` once the layer is built.
        backward_layer: B; None is a layer like F with go_backwards the other way round.

    Raises:
        TypeError, ValueError: a layer that is not recurrent, another merge_mode, layers that do not go together.

    Reference: Schuster and Paliwal, Bidirectional Recurrent Neural Networks, 1997.

    >>> from npdl.layers import LSTM
    >>> Bidirectional(LSTM(3)).init(input_shape=(10, 4), seed=0).output_shape
    (6,)
    """

    wrapped = ("layer", "backward_layer")

    def __init__(self, layer, merge_mode="concat", weights=None, backward_layer=None, **base):
        layer, other = (single("Bidirectional", *one) for one in zip(self.wrapped, (layer, backward_layer)))
        if not isinstance(layer, Sequences) or not isinstance(other, (Sequences, type(None))):
            raise TypeError(f"Bidirectional takes a recurrent layer, got {layer!r}; pass e.g. layers.LSTM(64)")
        if merge_mode not in MODES or weights is not None:
            raise ValueError(f"Bidirectional knows merge_mode {MODES}, weights=None, got {merge_mode=}, {weights=}")
        if other is None:
            turned = {"go_backwards": not layer.go_backwards, "name": f"backward_{layer.given_name or layer.name}"}
            other = type(layer).from_config({**layer.get_config(), **turned})
        flags = [(one.return_sequences, one.return_state, not one.go_backwards) for one in (layer, other)]
        if flags[0][:2] != flags[1][:2] or flags[0][2] == flags[1][2]:
            raise ValueError(
                "Bidirectional needs layers alike in return_sequences and return_state, one of them with go_backwards, "
                f"got {layer!r} and {other!r}"
            )
        super().__init__({"layer": [layer], "backward_layer": [other]}, **base)
        self.merge_mode, self.weights = merge_mode, None
        self.return_sequences, self.return_state = layer.return_sequences, layer.return_state
        for one in (layer, other):
            one.zero_output_for_mask, one.in_order = one.return_sequences, True

    def both(self):
        """(F, B)"""
        return self.layer[0], self.backward_layer[0]

    def build(self, input_shape):
        given = halves(input_shape, isinstance(input_shape[0], tuple))
        shapes = [one.build_once(own) for one, own in zip(self.both(), given)]
        (a, *f), (b, *g) = shapes if self.return_state else [(one,) for one in shapes]
        if self.merge_mode not in ("concat", None) and a != b:
            fix = 'give both layers as many units, or use merge_mode="concat"'
            raise ValueError(f"{self.name}: {self.merge_mode!r} needs outputs of one shape, got {a} and {b}; {fix}")
        y = {"concat": (*a[:-1], a[-1] + b[-1]), None: (a, b)}.get(self.merge_mode, a)
        return (y, *f, *g) if self.return_state else y

    def flops(self):
        return sum(one.flops() for one in self.both())

    def check(self, x, expected=None):
        [one.check(own) for one, own in zip(self.both(), halves(x, isinstance(x, tuple)))]

    def compute_mask(self, x, mask=None):
        """That of x while sequences are returned."""
        mask = (mask[0] if isinstance(mask, tuple) else mask) if self.return_sequences else None
        mask = (mask, mask) if self.merge_mode is None else mask
        states = sum(len(one.state_sizes()) for one in self.both())
        return (mask, *[None] * states) if self.return_state else mask

    def reset_state(self):
        """Begin with states of 0 again (stateful layers)."""
        [one.reset_state() for one in self.both()]

    def forward(self, x, training=False, mask=None):
        given = isinstance(x, tuple)
        found = [one.forward(own, training, mask) for one, own in zip(self.both(), halves(x, given))]
        (a, *f), (b, *g) = found if self.return_state else [(one,) for one in found]
        if training:
            self.save(a, b, given)
        else:
            self.forget()
        y = (a, b) if self.merge_mode is None else self._merged(a, b)
        return (y, *f, *g) if self.return_state else y

    def _merged(self, a, b):
        concat = self.merge_mode == "concat"
        y = self.buffer("y", (*a.shape[:-1], a.shape[-1] + b.shape[-1]) if concat else a.shape)
        if concat:
            self.k.join(a, b, out=y)
        elif self.merge_mode == "mul":
            self.k.times(a, b, out=y)
        else:
            self.k.add(a, b, out=y)
        if self.merge_mode == "ave":
            self.k.times(y, 0.5, out=y)
        return y

    def backward(self, dy):
        a, b, given = self.saved()
        dy, *dlast = dy if self.return_state and isinstance(dy, tuple) else (dy,)
        gradients = (None, None) if dy is None else dy if self.merge_mode is None else self._parted(dy, a, b)
        half, found = len(self.layer[0].state_sizes()), []
        for one, d, own in zip(self.both(), gradients, (dlast[:half], dlast[half:])):
            one.needs_dx = self.needs_dx
            found.append(one.backward((d, *own) if self.return_state else d))
        if not self.needs_dx:
            return None
        (f, *df), (g, *dg) = found if given else [(one,) for one in found]
        dx = self.buffer("dx", f.shape)
        self.k.add(f, g, out=dx)
        return (dx, *df, *dg) if given else dx

    def _parted(self, dy, a, b):
        if self.merge_mode == "sum":
            return dy, dy
        da, db = self.buffer("da", a.shape), self.buffer("db", b.shape)
        if self.merge_mode == "concat":
            self.k.part(dy, a=da, b=db)
        elif self.merge_mode == "mul":
            self.k.times(dy, b, out=da)
            self.k.times(dy, a, out=db)
        else:
            self.k.times(dy, 0.5, out=da)
            db = da
        return da, db


def halves(x, given):
    """What each of the two layers gets: x, and with states `given` its own half of them."""
    if not given:
        return x, x
    first, *states = x
    half = len(states) // 2
    return (first, *states[:half]), (first, *states[half:])
