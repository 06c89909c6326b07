"""Captured: a step on a GPU as one graph, which is started again and again."""


class Caught:
    """In place of the `Totals` of an output: the loss, whose array stays where it is, and no metrics."""

    metrics = ()

    def __init__(self, loss):
        self.loss = loss

    def add_loss(self, total, count):
        """Keep them."""
        self.total, self.count = total, count


class Captured:
    """A training step without its update, or an inference, on batches of one shape.

    Nothing of it is done when it is made. Each start copies a batch to where the first one lay.

    Args:
        device: with a driver.
        batch: host arrays by name.
        run: a function of these arrays on the device, that asks for the work; it returns what comes out, and the loss
            (its total on the device, its count), or None for each.

    Attributes:
        output: what came out; the next start writes over it.
    """

    def __init__(self, device, batch, run):
        self._device, self._given = device, {name: device.from_host(array) for name, array in batch.items()}
        with device.driver.capture() as self._graph:
            self.output, self._loss = run(**self._given)

    def _start(self, **batch):
        for name, array in batch.items():
            self._device.write(self._given[name], array)
        self._graph.launch()

    def train(self, x, target, totals):
        """The gradients of a batch; adds to the `EpochTotals`. True: it is done."""
        self._start(x=x, target=target)
        totals.batches += 1
        (own,) = totals.totals
        own.add_loss(*self._loss)
        if own.metrics:
            own.add_metrics(target, self._device.to_host(self.output), None)
        return True

    def infer(self, x):
        """The output, which the next call writes over."""
        self._start(x=x)
        return self.output
