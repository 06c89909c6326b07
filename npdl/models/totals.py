"""Totals: loss and metrics since the start of an epoch."""

from npdl import devices
from npdl.metrics.base import FunctionMetric
from npdl.models.first_step import is_custom


class Totals:
    """Loss and metrics of one output since the start of an epoch, exact over batches of unequal size.

    Args:
        loss: the loss object, None where the output has none.
        metrics: metric objects, which are reset.
        weighted: those of them that see the sample weights.
    """

    def __init__(self, loss, metrics, weighted):
        self.loss, self.metrics, self.weighted = loss, metrics, weighted
        self._total = self.count = 0.0
        self._there = None  # what has come from a GPU, added up there
        for metric in metrics:
            metric.reset_state()

    def add_loss(self, total, count):
        """Take in one batch: the sum of its samples' losses, a float or an array on a GPU, and their number."""
        self.count += count
        if isinstance(total, float):
            self._total += total
        else:
            self._there = self._there or self.loss.device.running_sum()
            self._there.add(total)

    @property
    def total(self):
        """The sum of all samples' losses."""
        return self._total if self._there is None else self._total + float(self._there)

    def add_metrics(self, target, output, w, mask=None, unweighted=None):
        """Take in one batch of host arrays; a metric of the user's own may keep them, so it gets no reused memory.

        `mask` are the weights, 0 or 1, of the metrics that do not see the sample weights; `unweighted` the targets and
        outputs that they get, where they differ.
        """
        with devices.use_workspace(None):  # a metric may call layers, which must not get the memory of this step
            self._add(target, output, w, mask, unweighted)

    def _add(self, target, output, w, mask, unweighted):
        for metric in self.metrics:
            seen = metric in self.weighted
            y_true, y_pred = (target, output) if seen or unweighted is None else unweighted
            if is_custom(metric) or isinstance(metric, FunctionMetric):
                y_pred = tuple(part.copy() for part in y_pred) if isinstance(y_pred, tuple) else y_pred.copy()
            metric.update_state(y_true, y_pred, w if seen else mask)

    @property
    def mean(self):
        """The loss: its mean over the samples."""
        return self.total / self.count if self.count else 0.0

    def logs(self):
        """{metric name: value ...}"""
        return {metric.name: metric.result() for metric in self.metrics}


class EpochTotals:
    """The totals of all outputs.

    Args:
        heads: the model's `Head`s.
        totals: the `Totals` of each.
    """

    def __init__(self, heads, totals):
        self.heads, self.totals, self.batches = heads, totals, 0
        self.penalty = self.samples = 0.0

    def add_penalty(self, value, samples):
        """Take in the penalties of a batch of that many samples."""
        self.penalty, self.samples = self.penalty + value * samples, self.samples + samples

    def sums(self):
        """What `since` compares."""
        return self.penalty, self.samples, [(totals.total, totals.count) for totals in self.totals]

    def since(self, before):
        """(the loss, the samples that count) of what came after `sums` gave this."""
        penalty, samples, sums = before
        loss, all_counted = (self.penalty - penalty) / max(self.samples - samples, 1), 0.0
        for head, totals, (total, count) in zip(self.heads, self.totals, sums):
            counted = totals.count - count
            loss, all_counted = loss + head.weight * (totals.total - total) / (counted or 1), all_counted + counted
        return loss, all_counted

    def counts_since(self, before):
        """The samples that count of each output, of what came after `sums` gave this."""
        return [totals.count - count for totals, (_, count) in zip(self.totals, before[2])]

    @property
    def mean_penalty(self):
        """Over the samples, as the loss, to which it is added."""
        return self.penalty / self.samples if self.samples else 0.0

    def logs(self):
        """{"loss": ..., metric name: value ...}; of several outputs "name_loss" and "name_metric" too, as in Keras."""
        if len(self.heads) == 1:
            loss = self.heads[0].weight * self.totals[0].mean + self.mean_penalty
            return {"loss": loss, **self.totals[0].logs()}
        loss = sum(h.weight * t.mean for h, t in zip(self.heads, self.totals) if t.loss is not None)
        logs = {"loss": loss + self.mean_penalty}
        for head, totals in zip(self.heads, self.totals):
            if totals.loss is not None:
                logs[f"{head.name}_loss"] = totals.mean
            logs.update({f"{head.name}_{name}": value for name, value in totals.logs().items()})
        return logs
