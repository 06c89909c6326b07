"""Parallel: several branches that read one x, merged into one y."""

from npdl.layers import masks
from npdl.layers.base import Layer
from npdl.layers.branch import Branch
from npdl.layers.chains import listed, lowest_to_learn
from npdl.layers.concatenate import Concatenate
from npdl.layers.container import Container
from npdl.layers.merging import Add, Subtract
from npdl.layers.merging_products import Average, Maximum, Minimum, Multiply

MERGES = {kind.__name__.lower(): kind for kind in (Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract)}


class Parallel(Container):
    """Several branches of layers that read the same x; a merging layer makes one y of what they give.

        forward     y = merge(f₁(x), f₂(x), ...)
        backward    (d₁, d₂, ...) = ∂mergeᵀ dy          dx = ∂f₁ᵀ d₁ + ∂f₂ᵀ d₂ + ...    in the branches' order

    Shapes: x as each branch takes it, y as the merging layer makes it.
    Saves: a mark that there was a forward; the layers inside save their own.

    Args:
        branches: list of branches, each a list of layers one after the other, or one layer.
        merge: "add", "average", "concatenate" (along the last axis), "maximum", "minimum", "multiply" or "subtract"; or
            a layer of several inputs, e.g. `layers.Concatenate(axis=1)`.

    Raises:
        TypeError: something else than layers.
        ValueError: fewer than two branches, an unknown merge, branches whose outputs do not go together.

    Reference: Szegedy and others, Going Deeper with Convolutions, 2014.

    >>> from npdl.layers import Dense, Identity
    >>> Parallel([[Dense(8, activation="relu"), Dense(3)], Identity()], "concatenate").init((4,)).output_shape
    (7,)
    """

    def __init__(self, branches, merge="add", **base):
        branches = listed(self, "branches", branches)
        if len(branches) < 2:
            raise ValueError(
                f"Parallel needs two or more branches, got {len(branches)}; "
                "pass e.g. Parallel([[layers.Dense(10)], [layers.Dense(10)]])"
            )
        if isinstance(merge, str):
            if merge not in MERGES:
                raise ValueError(
                    f"Parallel: unknown merge={merge!r}; there are {', '.join(map(repr, MERGES))}, or pass a layer of "
                    "several inputs"
                )
            merge = MERGES[merge]()
        merge = merge if isinstance(merge, (list, tuple)) else [merge]
        branches = [part if isinstance(part, Branch) else Branch(_inside(part)) for part in branches]
        super().__init__({"branches": branches, "merge": merge}, **base)
        for part in (*self.branches, *self.merge):  # dy of a branch is its own, where npdl's merging layer makes it
            part.may_overwrite = part is not self.merge[0] and type(self.merge[0]).__module__.startswith("npdl.")

    def entrances(self):
        """The chains that read x."""
        return [[branch] for branch in self.branches]

    def build(self, input_shape):
        shapes = tuple(branch.build_once(input_shape) for branch in self.branches)
        return self.merge[0].build_once(shapes)

    def flops(self):
        return sum(part.flops() for part in self.inner())

    def forward(self, x, training=False, mask=None):
        return self.carry(x, training, mask)[0]

    def carry(self, x, training=False, mask=None):
        """(y, its mask), which the merging layer makes of those of the branches."""
        found, marks = zip(*(masks.forward(branch, x, training, mask) for branch in self.branches))
        marks = marks if any(one is not None for one in marks) else None
        y, mask = masks.forward(self.merge[0], found, training, marks)
        if training:
            self.save()
        else:
            self.forget()
        return y, mask

    def backward(self, dy):
        self.saved()  # raises where there was no forward
        found = []
        for branch, d in zip(self.branches, self.merge[0].backward(dy), strict=True):  # d₁, d₂ ...
            if self.needs_dx or lowest_to_learn([branch]) == 0:
                found.append(branch.backward(d))  # ∂fᵢᵀ dᵢ
        if not self.needs_dx or self.reads_integers:
            return None
        dx = self.buffer("dx", found[0].shape)
        self.k.add(found[0], found[1], out=dx)
        for other in found[2:]:
            self.k.add(dx, other, out=dx)
        return dx


def _inside(part):
    """The layers of a branch."""
    return [part] if isinstance(part, Layer) else part
