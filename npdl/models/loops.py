"""What a loop over batches needs: callbacks, the batches of each epoch, what is returned."""

import itertools

from npdl import callbacks as cb


def callers(model, params, callbacks, *last):
    """The progress bar first, so that what others print stands on clean lines; the history last: it sees all logs."""
    bars = [cb.ProgressBar(params["verbose"])] if params["verbose"] else []
    return cb.CallbackList([*bars, *listed(callbacks), *last], model, params)


def listed(given):
    """A list of what was given: one thing, several, or None."""
    if given is None:
        return []
    return list(given) if isinstance(given, (list, tuple)) else [given]


def epochs_of(source, batch_size, seed, shuffle, steps, first):
    """The batches of one epoch after another, from epoch `first` on.

    With `steps` the epochs are cut from one endless stream of batches, as Keras does it, and begin where they would
    after `first` epochs.
    """
    if steps is None:
        for epoch in itertools.count(first):
            yield source.batches(batch_size, seed=seed, epoch=epoch, shuffle=shuffle, reuse=True)
    start, skipped = divmod(first * steps, source.steps(batch_size) or first * steps + 1)
    stream = itertools.chain.from_iterable(
        source.batches(batch_size, seed=seed, epoch=epoch, shuffle=shuffle, reuse=True)
        for epoch in itertools.count(start)
    )
    if source.size is not None:  # an iterator has moved on by itself
        stream = itertools.islice(stream, skipped, None)
    while True:
        yield itertools.islice(stream, steps)


def results_of(logs, return_dict):
    """Figures as they are returned: a dict, a list, or the only one."""
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values


def silent(*_):
    """Say nothing."""
