"""Discretization: measurements as categories."""

import numpy as np

from npdl.layers import arguments
from npdl.layers.on_host import OnHost, batches_of, mode_of


class Discretization(OnHost):
    """Numbers as the number of the bin that they fall into, on the host, before the model.

        int         y[n, t] = i where bᵢ₋₁ ≤ x[n, t] < bᵢ:  how many boundaries b lie at or below x
        one_hot, multi_hot, count   as of `StringLookup`, with the bins for the vocabulary

    The boundaries are given, or taken from data by `adapt`, so that about as many numbers fall into each bin: at or
    below boundary i lie i / num_bins of the data; between two of them it is found by linear interpolation.

    Shapes: x (..., T) · y int32 of that shape, or float32 (..., V) (one_hot (..., T, V)), V boundaries + 1.

    Args:
        bin_boundaries: rising numbers b; or None and num_bins.
        num_bins: how many bins `adapt` makes.
        epsilon: how far the quantiles may be off in Keras; here they are exact.
        output_mode: "int", "one_hot", "multi_hot" or "count".
        sparse: False.

    Raises:
        ValueError: both or neither of bin_boundaries and num_bins, boundaries that do not rise.
        TypeError: a layer inside a model.
        RuntimeError: it has no boundaries.

    >>> Discretization(bin_boundaries=[0.0, 1.0, 2.0])([[-1.5, 1.0, 3.4, 0.5], [0.0, 3.0, 1.3, 0.0]]).tolist()
    [[0, 2, 3, 1], [1, 3, 2, 1]]
    """

    def __init__(self, bin_boundaries=None, num_bins=None, epsilon=0.01, output_mode="int", sparse=False, **base):
        super().__init__(**base)
        if bin_boundaries is None and num_bins is None:
            raise ValueError("Discretization needs bin_boundaries, or num_bins and adapt(data); pass e.g. num_bins=10")
        self.num_bins, self.epsilon, self.output_mode = num_bins, epsilon, mode_of(self, output_mode)
        if num_bins is not None:
            arguments.whole(self, "num_bins", num_bins, "num_bins=10")
        self.demand_dense(sparse=sparse)
        self.bin_boundaries = None if bin_boundaries is None else [float(b) for b in bin_boundaries]
        if self.bin_boundaries is not None and not (np.diff(self.bin_boundaries) > 0).all():
            raise ValueError(
                f"Discretization needs bin_boundaries that rise, got {bin_boundaries!r}; pass sorted(set(boundaries))"
            )

    def adapt(self, data):
        """Take the boundaries from data: an array, an iterable of batches x or (x, ...), or a function for one."""
        if self.num_bins is None:
            raise ValueError(f"{self.name} was given its bin_boundaries; pass num_bins=10 instead to adapt it to data")
        values = [np.asarray(batch, np.float64).reshape(-1) for batch in batches_of(data)]
        values = np.sort(np.concatenate(values or [np.empty(0)]))
        if not len(values) or not np.isfinite(values).all():
            raise ValueError(f"{self.name}: adapt got {len(values)} numbers, NaN or infinity among them; drop those")
        shares = np.arange(1, self.num_bins) / self.num_bins
        found = np.interp(shares, np.arange(1, len(values) + 1) / len(values), values)
        self.bin_boundaries = np.unique(found).tolist()

    def encode(self, inputs):
        if self.bin_boundaries is None:
            raise RuntimeError(f"{self.name} has no boundaries; call {self.name}.adapt(data) first")
        x = np.asarray(inputs)
        if x.dtype.kind not in "biuf":
            raise TypeError(f"{self.name} reads numbers, got dtype {x.dtype}; take layers.StringLookup for strings")
        ids = np.searchsorted(self.bin_boundaries, x, side="right")
        return self.coded(np.asarray(ids), len(self.bin_boundaries) + 1)
