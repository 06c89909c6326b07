"""Edits chosen by hand, each of which a test must notice.

test_mutations.py edits the gradients by rule. Here is what no gradient shows: boundaries, orders, shares and states in
augmentation, preprocessing, attention, recurrence, graphs, losses, metrics, callbacks, schedules and optimizers. An
edit replaces a piece of a function's source, and goes in as that function's code, so that everyone who has imported
the function has the edit. Then the tests that guard it run, in this process and collected once, until one fails.
"""

import contextlib
import importlib
import inspect
import pathlib
import textwrap
import types

import pytest
from _pytest.runner import runtestprotocol

HERE = pathlib.Path(__file__).parent
EDITS = {
    "callbacks/test_early_stopping.py": [
        (
            "callbacks.early_stopping:EarlyStopping.on_epoch_end", "self.wait >= self.patience",
            "self.wait > self.patience", "test_nan_is_never_better",
        ),
        (
            "callbacks.early_stopping:EarlyStopping.on_epoch_end", "epoch < self.start_from_epoch",
            "epoch <= self.start_from_epoch", "test_start_from_epoch",
        ),
        (
            "callbacks.early_stopping:EarlyStopping.on_epoch_end",
            "self.baseline is None or self.is_better(value, self.baseline)", "True", "test_baseline",
        ),
        (
            "callbacks.early_stopping:EarlyStopping.on_epoch_end", "self.best, self.best_epoch = value, epoch",
            "self.best = value", "test_it_can_be_used_again",
        ),
        (
            "callbacks.early_stopping:EarlyStopping.on_epoch_end", "and epoch > 0", "",
            "test_the_first_epoch_stops_nothing",
        ),
        (
            "callbacks.early_stopping:EarlyStopping.on_train_begin", "self.best = self.best_weights = None", "pass",
            "test_nan_is_never_better",
        ),
        (
            "callbacks.early_stopping:EarlyStopping.on_train_end", "self.model.set_weights(self.best_weights)",
            "pass", "test_nan_is_never_better",
        ),
        ("callbacks.monitor:Monitor.is_better", "than - self.min_delta", "than + self.min_delta", "test_min_delta"),
        (
            "callbacks.monitor:is_validated", "(epoch + 1) % freq", "epoch % freq",
            "test_epochs_without_validation_are_left_out",
        ),
    ],
    "kernels/test_interpolate.py": [
        (
            "kernels.taps:taps", "(np.arange(places) + 0.5) * scale - 0.5", "np.arange(places) * scale",
            "test_taps_of_known_cases",
        ),
        ("kernels.taps:taps", "max(scale, 1.0) if antialias else 1.0", "1.0", "test_taps_of_known_cases"),
        ("kernels.taps:_keys", "(-0.5 * t + 2.5)", "(-0.75 * t + 2.5)", "test_taps_of_known_cases"),
    ],
    "layers/test_augmentation.py": [
        (
            "layers.random_flip:RandomFlip.maps", '(self.mode != "vertical")', '(self.mode != "horizontal")',
            "test_flips",
        ),
        ("layers.random_flip:RandomFlip.maps", "// 2 * (w - 1)", "// 2 * w", "test_flips"),
        ("layers.random_flip:RandomCrop.forward", "h - self.height + 1", "h - self.height", "test_crops"),
        ("layers.random_flip:RandomCrop.forward", 'aspect="crop"', 'aspect="pad"', "test_crops"),
        (
            "layers.random_affine:RandomRotation.maps", "(cosine, -sine, a2)", "(cosine, sine, a2)",
            "test_quarter_turns_are_exact",
        ),
        ("layers.random_affine:RandomZoom.maps", "tall if self.width_factor is None else wide", "wide", "test_zoom"),
        ("layers.random_affine:RandomZoom.maps", "(1 - tall) * (h - 1) / 2", "(1 - tall) * h / 2", "test_zoom"),
        ("layers.random_affine:RandomTranslation.maps", "-right * w", "-right * h", "test_translation"),
        ("layers.augmenting:cosine_sine", "quarters % 4", "quarters % 2", "test_cosine_and_sine"),
        ("layers.augmenting:Augmentation.draw", "low + (high - low) * u", "low + high * u", "test_translation"),
        (
            "layers.augmenting:Augmentation.key",
            "self.random_key(purpose) if self.seed is None else random.key(self.seed, purpose)",
            "self.random_key(purpose)", "test_brightness_and_contrast",
        ),
        ("layers.augmenting:Moved.forward", "self.step += 1", "pass", "test_same_seed_same_images"),
        (
            "layers.augmenting:Moved.backward", "fill_mode=self.fill_mode", 'fill_mode="constant"',
            "test_contract[RandomRotation(factor=(-0.3, 0.3), fill_]",
        ),
        (
            "layers.random_color:RandomContrast.forward", "(1 - lower, 1 + upper)", "(1 - upper, 1 + lower)",
            "test_brightness_and_contrast",
        ),
        (
            "layers.random_color:RandomBrightness.forward", "(high - low) * part", "high * part",
            "test_brightness_and_contrast",
        ),
        ("layers.random_erasing:RandomErasing.boxes", "coin < chance", "coin > chance", "test_same_seed_same_images"),
        (
            "layers.random_erasing:RandomErasing.boxes", "size - length + 1", "size - length",
            "test_erasing_reaches_every_place_with_new_noise",
        ),
        (
            "layers.random_erasing:RandomErasing.forward", 'self.key("noise"), self.step', 'self.key("noise"), 0',
            "test_erasing_reaches_every_place_with_new_noise",
        ),
        (
            "kernels.reference.image:_extended", "2 * size - 1 - place", "2 * size - 2 - place",
            "test_contract[RandomRotation(factor=(-0.3, 0.3), fill_]",
        ),
    ],
    "layers/test_multi_head_attention.py": [
        ("layers.attending:Attending.flops", "t * seen", "t", "test_flops"),
        (
            "layers.several:attention_masks", 'found["query_mask"] = _bool(layer, masks[0]).reshape((samples, t))',
            "pass", "test_a_query_that_sees_nothing",
        ),
    ],
    "layers/test_preprocessing.py": [
        (
            "layers.normalization:Normalization._combined", "before * len(rows) / n", "len(rows) / n",
            "test_adapt_is_exact",
        ),
        ("layers.normalization:Normalization._combined", "apart * (len(rows) / n)", "apart / 2", "test_adapt_is_exact"),
        (
            "layers.normalization:Normalization.adapt", "squares / n, count", "squares / (n - 1), count",
            "test_adapt_is_exact",
        ),
        ("layers.normalization:Normalization.forward", "invert=self.invert", "invert=False", "test_adapt_is_exact"),
        ("layers.normalization:Normalization.backward", "invert=self.invert", "invert=False", "test_contract"),
        ("layers.rescaling:Rescaling.backward", "self.scale, 0.0", "self.scale, self.offset", "test_rescaling"),
        (
            "layers.resizing:Resizing.forward", 'self.fill_value if self.aspect == "pad" else 0.0', "0.0",
            "test_resizing_keeps_proportions",
        ),
        (
            "layers.resizing:CenterCrop.forward", "((n - to) // 2, n - to - (n - to) // 2)",
            "(n - to - (n - to) // 2, (n - to) // 2)", "test_center_crop",
        ),
        ("kernels.taps:image_taps", "-((length - n) // 2)", "(n - length) // 2", "test_resizing_keeps_proportions"),
        (
            "kernels.taps:image_taps", "(n - length) // 2 if n > length", "0 if n > length",
            "test_resizing_keeps_proportions",
        ),
        (
            "layers.category_encoding:CategoryEncoding.forward", 'None if self.output_mode == "count" else 1', "None",
            "test_categories",
        ),
    ],
    "layers/test_transformer.py": [
        (
            "layers.transformer_decoder:TransformerDecoder.make_parts", '("cross_attention", False)',
            '("cross_attention", True)', "test_the_future_and_padding_are_not_seen",
        ),
    ],
    "metrics/test_metrics.py": [
        ("metrics.base:Averaged.add", "float(w.sum()) * v.shape[1]", "float(w.sum())", "test_positions_count_one_each"),
        (
            "metrics.base:weighted_rows", "values[w != 0], w[w != 0]", "values, w",
            "test_whole_weights_repeat_rows_and_zero_leaves_them_out",
        ),
        (
            "metrics.accuracy:BinaryAccuracy.values", "y_pred > self.threshold", "y_pred >= self.threshold",
            "test_values",
        ),
        ("metrics.accuracy:in_top_k", "< k)", "<= k)", "test_ties_and_nan_in_top_k"),
        ("metrics.accuracy:in_top_k", "& ~np.isnan(own[..., 0])", "", "test_ties_and_nan_in_top_k"),
        ("metrics.accuracy:in_top_k", "(labels >= 0) & ", "", "test_ties_and_nan_in_top_k"),
        (
            "metrics.regression:R2Score.update_state", "apart**2 * self.weight * weight / both", "apart**2",
            "test_values",
        ),
        (
            "metrics.regression:R2Score.update_state", "self.origin = t[0]", "self.origin = 0 * t[0]",
            "test_r2_of_constant_targets",
        ),
        ("metrics.regression:R2Score.result", "self.residual == 0", "True", "test_r2_of_constant_targets"),
        (
            "metrics.confusion:ConfusionMatrix.update_state", "(t.reshape(-1), p.reshape(-1))",
            "(p.reshape(-1), t.reshape(-1))", "test_confusion_matrix_gives_copies",
        ),
        (
            "metrics.confusion:ConfusionMatrix.result", "self.counts.copy()", "self.counts",
            "test_confusion_matrix_gives_copies",
        ),
    ],
    "metrics/test_more_metrics.py": [
        ("metrics.counts:counts_above", 'side="left"', 'side="right"', "test_documented_values"),
        ("metrics.counts:entries", "ahead <= top_k", "ahead < top_k", "test_documented_values"),
        (
            "metrics.counts:_AtThresholds.result", "values[np.searchsorted(self._at, self.thresholds)]", "values",
            "test_more_by_hand",
        ),
        (
            "metrics.curves:_Curve.points", "np.append(p[1:] != p[:-1], True)", "np.append(p[1:] == p[1:], True)",
            "test_curves_by_hand",
        ),
        ("metrics.curves:_interpolated", "np.log(grown)", "grown", "test_curves_by_hand"),
        (
            "metrics.curves:AUC._area", '== "minoring" else np.maximum', '== "minoring" else np.minimum',
            "test_curves_by_hand",
        ),
        ("metrics.curves:_BestPoint._best", ">= least", "> least", "test_documented_values"),
        (
            "metrics.curves:SpecificityAtSensitivity.result", "ratio(tn, tn + fp)", "ratio(tn, tn + fn)",
            "test_documented_values",
        ),
        ("metrics.iou:IoU._add", "keep = t != self.ignore_class", "keep = t == t", "test_more_by_hand"),
        ("metrics.iou:IoU.result", "if union[c]", "", "test_more_by_hand"),
        ("metrics.iou:BinaryIoU.update_state", ">= self.threshold", "> self.threshold", "test_more_by_hand"),
        (
            "metrics.agreement:ExpectedCalibrationError.update_state",
            "np.ceil(confidence * self.num_bins).astype(np.int64) - 1",
            "np.floor(confidence * self.num_bins).astype(np.int64) - 1", "test_calibration_by_hand",
        ),
        ("metrics.from_loss:Perplexity.result", "math.exp(super().result())", "super().result()", "test_more_by_hand"),
        (
            "metrics.from_loss:Perplexity.update_state", "keep = labels != self.mask_token_id",
            "keep = labels == labels", "test_more_by_hand",
        ),
        ("metrics.from_loss:CosineSimilarity.values", "-super()", "super()", "test_more_by_hand"),
    ],
    "metrics/test_more_metrics_sklearn.py": [
        ("metrics.counts:FBetaScore.result", "square * fn + fp", "fn + square * fp", "test_f_scores[weighted-None]"),
        (
            "metrics.counts:FBetaScore.result", "((tp + fn) * score).sum()", "((tp + fp) * score).sum()",
            "test_f_scores[weighted-None]",
        ),
        ("metrics.agreement:CohenKappa.result", "apart**2", "apart", "test_regions_and_agreement"),
        ("metrics.agreement:MatthewsCorrelation.result", "(t * p).sum()", "0", "test_regions_and_agreement"),
    ],
    "test_schedules.py": [
        (
            "schedules.decay:ExponentialDecay.__call__", "step // self.decay_steps if self.staircase else ", "",
            "test_formulas",
        ),
        ("schedules.decay:InverseTimeDecay.__call__", "1 + self.decay_rate * p", "1 + p", "test_formulas"),
        (
            "schedules.decay:PolynomialDecay.__call__", "max(1, -(-step // self.decay_steps))",
            "max(1, step // self.decay_steps)", "test_formulas",
        ),
        ("schedules.decay:PolynomialDecay.__call__", "power(left, self.power)", "left", "test_formulas"),
        ("schedules.decay:PiecewiseConstantDecay.__call__", "bisect_left", "bisect_right", "test_formulas"),
        (
            "schedules.decay:StepDecay.__call__", "step // self.step_size", "(step + 1) // self.step_size",
            "test_formulas",
        ),
        ("schedules.decay:MultiStepDecay.__call__", "bisect_right", "bisect_left", "test_formulas"),
        ("schedules.decay:CosineDecay.__call__", "step - warmup, self", "step, self", "test_formulas"),
        ("schedules.decay:CosineDecay.__call__", "+ self.alpha)", ")", "test_formulas"),
        ("schedules.decay:CosineDecayRestarts.__call__", "length * self.t_mul", "length + self.t_mul", "test_formulas"),
        (
            "schedules.decay:CosineDecayRestarts.__call__", "whole_power(self.m_mul, period)", "self.m_mul",
            "test_formulas",
        ),
        ("schedules.cycles:OneCycle.__call__", "2 * rise - 2", "2 * rise - 1", "test_formulas"),
        ("schedules.cycles:OneCycle.__call__", "(step - began) / (end - began)", "step / end", "test_formulas"),
        ("schedules.cycles:Cyclic.__call__", "whole_power(0.5, cycle)", "whole_power(0.5, step)", "test_formulas"),
        ("schedules.cycles:Cyclic.__call__", "(up + down - place) / down", "(up + down - place) / up", "test_formulas"),
        ("schedules.cycles:Noam.__call__", "step + 1.0", "step + 0.0", "test_formulas"),
        ("schedules.cycles:LinearWarmup.__call__", "max(step - self.warmup_steps, 0)", "step", "test_formulas"),
        (
            "schedules.cycles:SequentialSchedule.__call__", "step - ([0] + self.milestones)[place]", "step",
            "test_formulas",
        ),
        ("schedules.cycles:ChainedSchedule.__call__", "math.prod", "sum", "test_formulas"),
        ("schedules.exact:log", "k * LN2_LOW", "0", "test_own_functions_are_right_to_two_units"),
        (
            "schedules.exact:cos", "round(x / (HALF_PI_HIGH + HALF_PI_LOW))", "int(x / (HALF_PI_HIGH + HALF_PI_LOW))",
            "test_own_functions_are_right_to_two_units",
        ),
    ],
}  # fmt: skip


def locate(target):
    """The plain function of "module:Class.function", and what caches its results, if anything does."""
    module, path = target.split(":")
    found = importlib.import_module(f"npdl.{module}")
    for name in path.split("."):
        found = inspect.getattr_static(found, name)
    cached = found if hasattr(found, "cache_clear") else None
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    return inspect.unwrap(found), cached


def code_with(function, old, new):
    """The code of a function in whose source `new` stands for `old`, which must be there once."""
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{function.__qualname__} has {source.count(old)} times {old!r}"
    body = textwrap.indent(source.replace(old, new), "    ")
    module = compile(f"class _:\n{body}", function.__code__.co_filename, "exec")  # in a class, for super()
    (inside,) = (part for part in module.co_consts if isinstance(part, types.CodeType))
    return next(part for part in inside.co_consts if getattr(part, "co_name", "") == function.__name__)


@contextlib.contextmanager
def put_in(target, old, new):
    """While open, the target has the edit."""
    function, cached = locate(target)
    before = function.__code__
    function.__code__ = code_with(function, old, new)
    try:
        if cached is not None:
            cached.cache_clear()
        yield
    finally:
        function.__code__ = before
        if cached is not None:
            cached.cache_clear()


class Runner:
    """A plugin of pytest: runs the collected tests with each edit, the guards of the edit alone."""

    def __init__(self, edits):
        self.edits, self.broken, self.survivors = edits, [], []

    def pytest_runtestloop(self, session):
        of = {}
        for item in session.items:
            for name in {item.name, item.originalname}:
                of.setdefault(name, []).append(item)
        self.broken = [item.nodeid for item in session.items if not passes(item)]
        for target, old, new, guard in self.edits:
            with put_in(target, old, new):
                if all(passes(item) for item in of[guard]):
                    self.survivors.append(f"{target}: {old} -> {new}: {guard} did not notice")
        return True


def passes(item):
    """Whether a test passes now."""
    item._initrequest()
    return not any(report.failed for report in runtestprotocol(item, nextitem=None, log=False))


@pytest.mark.parametrize("file", EDITS)
def test_every_edit_is_noticed(file, monkeypatch, capsys):
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    guards = dict.fromkeys(guard for *_, guard in EDITS[file])
    runner = Runner(EDITS[file])
    options = ["-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:xdist", "--import-mode=importlib"]
    pytest.main([*options, *(f"{HERE / file}::{guard}" for guard in guards)], plugins=[runner])
    assert not runner.broken, "fail without an edit: " + ", ".join(runner.broken)
    assert not runner.survivors, "\n".join(runner.survivors)
