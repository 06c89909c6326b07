"""Fed: data for a model, checked, and the `Step` that is made ready for them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from npdl import data, losses
from npdl.models import checks
from npdl.models.compiled import Compiled
from npdl.models.endings import Ending, choose_loss
from npdl.models.step import Step


class Fed(Compiled):
    """What of a model looks at data.

    Attributes:
        is_plain: one input and one output: data are arrays, not tuples of them.
    """

    is_plain: bool
    store: Any
    graph: Any
    dtype: np.dtype
    reads_integers: Any
    input_names: Any
    build: Callable
    check_shapes: Callable

    def _need_compile(self, what):
        if self.optimizer is None:
            raise RuntimeError(f'{what} needs model.compile(optimizer, loss) first, e.g. model.compile("adam", "mse")')

    def _source(self, x, y=None, sample_weight=None, for_prediction=False, dtype=None):
        """The `Source` of what was passed."""
        dtype = dtype or self.dtype
        if self.is_plain:
            return data.as_source(x, y, sample_weight, dtype, for_prediction, self.reads_integers)
        names = data.Names(self.input_names, self.head_names, self.reads_integers, self.unscored())
        return data.several_source(x, y, sample_weight, dtype, names, for_prediction)

    def _validation_source(self, validation_data):
        """The `Source` of `validation_data`, which errors name."""
        if validation_data is None:
            return None
        try:
            return self._source(*checks.validation_parts(validation_data))
        except (TypeError, ValueError) as error:
            raise type(error)(f"validation_data: {error}") from error

    def _build_for(self, source):
        if self.store is None:
            self.build(source.x_shape)
        if self.is_plain:
            checks.not_one_sample(self, source)
        self._check_shapes(source)

    def _check_shapes(self, source):
        self.check_shapes([source.x_shape] if self.is_plain else source.x_shape)

    def _ready(self, source, say):
        """The `Step` for these data: builds, chooses and settles what is still open, and checks data against model."""
        self._build_for(source)
        if self.optimizer is None:
            self.compile("adam")
        if self.loss is None and len(self.output_names) > 1:
            raise ValueError(
                f"a model with several outputs needs a loss for them: model.compile(loss={{{self.output_names[0]!r}: "
                '"mse", ...})'
            )
        if self.loss is None:
            y = source.first(1024)[1] if source.y is None else source.y
            ending = Ending(self.graph, self.graph.outputs[0])
            self.loss = choose_loss(self.output_shapes[0], ending, y[0] if isinstance(y, tuple) else y)
            if not self.metrics and self.loss.is_classification:
                self.metrics = ["accuracy"]
            say(f"optimizer {self.optimizer!r}, loss {self.loss!r}: chosen; model.compile(...) decides otherwise")
        step = self._current_step()
        step.explain(say)
        self._check_data(source)
        return step

    def _current_step(self):
        if self._step is None or not self._step.is_current():
            self._step = Step(self)
        return self._step

    def _check_data(self, source):
        self._check_shapes(source)
        if source.y is not None:
            self._step.validate(source.y)

    def _checked(self, source, batches):
        """The batches; those of a source that does not know its targets beforehand are checked as they come."""
        for batch in batches:
            if source.y is None and batch[1] is not None:
                self._step.validate(batch[1])
            yield batch

    def _sample_weights(self, class_weight, y, w):
        """The weights of a batch: `sample_weight` times the weight of each row's class, or of each step's."""
        if not class_weight:
            return w
        if len(self.output_names) > 1:
            raise ValueError(
                "class_weight is for models of one output; pass sample_weight={output: weights} for several"
            )
        y, w = (one[0] if isinstance(one, tuple) else one for one in (y, w))
        shape = self.output_shapes[0]
        classes = shape[-1] if shape else 1
        if classes == 1:  # one output: yes or no, or a number
            classes = 2 if getattr(self.loss, "accuracy", None) == "binary_accuracy" else None
        weights = losses.class_weights(y, class_weight, classes, max(len(shape), 1))
        if w is None:
            return weights
        w = np.asarray(w, np.float64)
        axes = max(weights.ndim, w.ndim)
        weights, w = (each.reshape(*each.shape, *[1] * (axes - each.ndim)) for each in (weights, w))
        return weights * w
