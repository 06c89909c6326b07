"""Windows of a time series."""

import numbers

import numpy as np

from npdl.data.batched import Batched


def timeseries_dataset_from_array(
    data, targets, sequence_length, sequence_stride=1, sampling_rate=1, batch_size=128, shuffle=False, seed=None,
    start_index=None, end_index=None,
):  # fmt: skip
    """Windows of a time series, as batches that `fit` takes; the series is not copied, only the windows of a batch are.

        x[n, t] = data[s + n · sequence_stride + t · sampling_rate]     y[n] = targets[s + n · sequence_stride]
                                                                        s = start_index

    Args:
        data: array (steps, ...), or a memmap.
        targets: array whose element i belongs to the window that begins at step i; None for windows alone. To predict
            the step behind a window: data[:-sequence_length] and data[sequence_length:].
        sequence_length: T, steps of a window.
        sequence_stride: steps from a window to the next.
        sampling_rate: steps from one of a window to its next.
        batch_size: windows a batch.
        shuffle: whether the windows of each epoch come in an order of their own.
        seed: of the orders; None takes the model's.
        start_index, end_index: the part of the data to take windows from; end_index itself is outside.

    Returns:
        `npdl.data.Batched`, of batches (x, y) or x; x (N, T, ...), a window of (steps,) being (N, T).

    Raises:
        ValueError: a number that is none of at least 1, a part outside the data, no room for a window.

    >>> data = timeseries_dataset_from_array(np.arange(99), None, 10, sequence_stride=3, sampling_rate=2)
    >>> for x in data:
    ...     print(x[0], x[-1])
    [ 0  2  4  6  8 10 12 14 16 18] [78 80 82 84 86 88 90 92 94 96]
    """
    given = {"sequence_length": sequence_length, "sequence_stride": sequence_stride, "sampling_rate": sampling_rate}
    for name, value in given.items():
        if not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}; pass e.g. {name}=1")
    data = data if hasattr(data, "shape") else np.asarray(data)
    start, end = start_index or 0, len(data) if end_index is None else end_index
    if not 0 <= start < end <= len(data):
        raise ValueError(
            f"start_index and end_index must lie in the {len(data)} steps of data, the second behind the first, got "
            f"start_index={start_index}, end_index={end_index}; leave them out to take all"
        )
    reach = (sequence_length - 1) * sampling_rate
    count = end - start - reach
    if targets is not None:
        targets = targets if hasattr(targets, "shape") else np.asarray(targets)
        count = min(count, len(targets) - start)
    if count < 1:
        raise ValueError(
            f"a window reaches over {reach + 1} steps, and there are {end - start} steps"
            f"{'' if targets is None else f' and {len(targets)} targets'}; pass a smaller sequence_length or more data"
        )
    steps = np.arange(sequence_length) * sampling_rate

    def take(rows):
        first = start + rows * sequence_stride
        x = np.asarray(data[first[:, None] + steps])
        return x if targets is None else (x, np.asarray(targets[first]))

    return Batched(take, -(-count // sequence_stride), batch_size, shuffle, seed)
