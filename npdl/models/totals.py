"""Totals: loss and metrics since the start of an epoch."""

import math

from npdl import devices
from npdl.metrics.base import FunctionMetric
from npdl.models.first_step import is_custom
from npdl.models.measured import measure


class NotFinite(Exception):
    """The loss of a training step is NaN or infinite; raised before its backward."""


class Totals:
    """Loss and metrics of one output since the start of an epoch, exact over batches of unequal size.

    On a GPU the loss, and the metrics that can be measured there, are added up there: in `sums`, from `place` on.

    Args:
        loss: the loss object, None where the output has none.
        metrics: metric objects, which are reset.
        weighted: those of them that see the sample weights.

    Attributes:
        sums, place: of a GPU, else None.
        count, latest: the samples that count since then, and those of the last batch: a difference would be rounded.
    """

    sums, place = None, 0

    def __init__(self, loss, metrics, weighted):
        self.loss, self.metrics, self.weighted = loss, metrics, weighted
        self._total = self.count = self.latest = self._there = 0.0
        self._hosts = {}  # id of a metric -> the part of its total that was added up on the host
        self._put_off = None  # what metrics have to see yet
        for metric in metrics:
            metric.reset_state()

    @property
    def places(self):
        """How many sums it needs."""
        return 1 + len(self.metrics)

    def add_loss(self, total, count):
        """Take in one batch: the sum of its samples' losses, a float or an array on a GPU, and their number."""
        self._add_count(count)
        if isinstance(total, float):
            self._total += total
        else:
            self.sums.add(self.place, total)

    def _add_count(self, count):
        self.count, self.latest = self.count + count, count

    def read(self, sums):
        """Take what was added up on a GPU."""
        self.catch_up()
        self._there = sums[self.place]
        for place, metric in enumerate(self.metrics, self.place + 1):
            if id(metric) in self._hosts:
                metric.total = self._hosts[id(metric)] + sums[place]

    @property
    def total(self):
        """The sum of all samples' losses."""
        return self._total + self._there

    def measure(self, target, output):
        """Take in a batch of unweighted samples, arrays on a GPU, as far as it can be done there; the metrics that are
        left."""
        left = []
        for place, metric in enumerate(self.metrics, self.place + 1):
            found = measure(self.loss.device, metric, target, output) if self.loss is not None else None
            if found is None:
                left.append(metric)
            else:
                self.sums.add(place, found[0])
                self._hosts.setdefault(id(metric), metric.total)
                metric.weight += found[1]
        return left

    def add_noted(self, noted, count):
        """Take in a batch whose sums a graph has added: so many samples, as many values as the noted totals have."""
        self._add_count(count)
        for metric, other in zip(self.metrics, noted.metrics, strict=True):
            if id(other) in noted._hosts:
                self._hosts.setdefault(id(metric), metric.total)
                metric.weight += other.weight

    def put_off(self, update):
        """Do what was put off before, and put off `update()`: on a GPU metrics see a batch while it is at work on the
        next."""
        self.catch_up()
        self._put_off = update

    def catch_up(self):
        """Do what was put off."""
        update, self._put_off = self._put_off, None
        if update is not None:
            update()

    def add_metrics(self, target, output, w, mask=None, unweighted=None, some=None):
        """Take in one batch of host arrays; a metric of the user's own may keep them, so it gets no reused memory.

        `mask` are the weights, 0 or 1, of the metrics that do not see the sample weights; `unweighted` the targets and
        outputs that they get, where they differ; `some` of the metrics, None: all.
        """
        with devices.use_workspace(None):  # a metric may call layers, which must not get the memory of this step
            for metric in self.metrics if some is None else some:
                self._add(metric, target, output, w, mask, unweighted)

    def _add(self, metric, target, output, w, mask, unweighted):
        seen = metric in self.weighted
        y_true, y_pred = (target, output) if seen or unweighted is None else unweighted
        if is_custom(metric) or isinstance(metric, FunctionMetric):
            y_pred = tuple(part.copy() for part in y_pred) if isinstance(y_pred, tuple) else y_pred.copy()
        if id(metric) in self._hosts:
            metric.total = self._hosts[id(metric)]
        metric.update_state(y_true, y_pred, w if seen else mask)
        if id(metric) in self._hosts:
            self._hosts[id(metric)] = metric.total

    @property
    def mean(self):
        """The loss: its mean over the samples."""
        return self.total / self.count if self.count else 0.0

    def logs(self):
        """{metric name: value ...}"""
        return {metric.name: metric.result() for metric in self.metrics}


class Noted(Totals):
    """The totals of one batch while a graph is made of it: what is left for the host is only kept.

    Attributes:
        outputs: what the metrics on the host see, on the device.
        left: the places of those metrics.
    """

    outputs, left = (), ()

    def keep(self, left, outputs):
        """Keep the outputs for these metrics."""
        self.outputs, self.left = outputs, [self.metrics.index(metric) for metric in left]


class EpochTotals:
    """The totals of all outputs.

    Args:
        heads: the model's `Head`s.
        totals: the `Totals` of each.
        sums: on a GPU, the `RunningSums` for `places_of(totals)`.

    Attributes:
        watched: whether a step is to stop before backward where its loss is no number.
        careful: whether it is to wait for the loss on a GPU, too.
        lost: whether somebody has seen a loss that is none.
    """

    watched = careful = lost = False

    def __init__(self, heads, totals, sums=None):
        self.heads, self.totals, self.batches = heads, totals, 0
        self._penalty = self.samples = self._there = 0.0
        self._sums, place = sums, 1
        self._settled = [0.0] * places_of(totals)
        for own in totals:
            own.sums, own.place = sums, place
            place += own.places

    def begin(self):
        """Say that a batch comes."""
        self.batches += 1
        self.claim()

    def claim(self):
        """Have the sums on a GPU be these totals'."""
        if self._sums is not None:
            self._sums.lend(self)

    def settle(self, sums):
        """Keep what was added up on the GPU: others use the sums from now on, and what copies outputs back."""
        for own in self.totals:
            own.catch_up()
        self._settled = [a + b for a, b in zip(self._settled, sums, strict=True)]

    def read(self):
        """Take what is added up on a GPU; waits for it."""
        if self._sums is not None:
            sums = self._settled
            if self._sums.is_lent_to(self):
                sums = [a + b for a, b in zip(sums, self._sums.read(), strict=True)]
            self._there = sums[0]
            for own in self.totals:
                own.read(sums)

    def add_penalty(self, value, samples):
        """Take in the penalties of a batch of that many samples."""
        self._penalty, self.samples = self._penalty + value * samples, self.samples + samples

    def penalty_there(self, samples):
        """What takes penalties of weights in a batch of that many samples, float64 arrays on a GPU; None elsewhere."""
        return None if self._sums is None else lambda array: self._sums.add(0, array, samples)

    def add_noted(self, noted, counts):
        """Take in a batch whose sums a graph has added, with so many samples of each output that count."""
        self.begin()
        self.add_penalty(0.0, noted.samples)
        for own, other, count in zip(self.totals, noted.totals, counts, strict=True):
            own.add_noted(other, count)

    def demand_numbers(self):
        """Raise where the loss is no number, as far as the host knows it; penalties come later.

        Raises:
            NotFinite: so.
        """
        for own in self.totals:
            if not math.isfinite(own.total):
                raise NotFinite

    @property
    def penalty(self):
        """The sum of all samples' penalties."""
        return self._penalty + self._there

    def sums(self):
        """What `since` compares."""
        self.read()
        return self.penalty, self.samples, [(totals.total, totals.count) for totals in self.totals]

    def since(self, before):
        """The loss of what came after `sums` gave this."""
        self.read()
        penalty, samples, sums = before
        loss = (self.penalty - penalty) / max(self.samples - samples, 1)
        for head, totals, (total, count) in zip(self.heads, self.totals, sums):
            loss = loss + head.weight * (totals.total - total) / (totals.count - count or 1)
        return loss

    @property
    def latest(self):
        """The samples that count of each output, of the last batch."""
        return [totals.latest for totals in self.totals]

    @property
    def mean_penalty(self):
        """Over the samples, as the loss, to which it is added."""
        return self.penalty / self.samples if self.samples else 0.0

    def logs(self):
        """{"loss": ..., metric name: value ...}; of several outputs "name_loss" and "name_metric" too, as in Keras."""
        self.read()
        if len(self.heads) == 1:
            loss = self.heads[0].weight * self.totals[0].mean + self.mean_penalty
            self.lost = self.lost or not math.isfinite(loss)
            return {"loss": loss, **self.totals[0].logs()}
        loss = sum(h.weight * t.mean for h, t in zip(self.heads, self.totals) if t.loss is not None)
        logs = {"loss": loss + self.mean_penalty}
        self.lost = self.lost or not math.isfinite(logs["loss"])
        for head, totals in zip(self.heads, self.totals):
            if totals.loss is not None:
                logs[f"{head.name}_loss"] = totals.mean
            logs.update({f"{head.name}_{name}": value for name, value in totals.logs().items()})
        return logs


def places_of(totals):
    """How many sums the `Totals` of all outputs need on a GPU: one for the penalties, and theirs."""
    return 1 + sum(own.places for own in totals)


class NotedTotals(EpochTotals):
    """Those of the batch that a graph is made of: the sums are whose turn it is when it starts."""

    def claim(self):
        """Nothing is added yet."""
