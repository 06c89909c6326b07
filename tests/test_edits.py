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
    "callbacks/test_backup_and_restore.py": [
        (
            "callbacks.backup_and_restore:BackupAndRestore._save", "-2 if self.double_checkpoint else -1", "-1",
            "test_a_broken_save_and_the_one_before",
        ),
    ],
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
    "callbacks/test_files.py": [
        ("callbacks.checkpoint:ModelCheckpoint._save", "self.best = value", "pass", "test_checkpoint_of_the_best"),
        (
            "callbacks.checkpoint:ModelCheckpoint._path", 'values["epoch"] = epoch + 1', 'values["epoch"] = epoch',
            "test_checkpoint_after_each_epoch",
        ),
        (
            "callbacks.checkpoint:ModelCheckpoint.on_train_batch_end", "self._batches += 1", "self._batches = batch",
            "test_checkpoint_every_few_batches",
        ),
        (
            "callbacks.csv_logger:CSVLogger.on_train_begin", "self.append and self.filename.exists()", "False",
            "test_csv_replaces_or_appends",
        ),
        (
            "callbacks.csv_logger:CSVLogger._widen", "{*(self._columns or ()), *row}", "{*row}",
            "test_csv_gets_a_column_for_a_late_name",
        ),
    ],
    "callbacks/test_learning_rate.py": [
        (
            "callbacks.learning_rate:ReduceLROnPlateau.on_epoch_end", "max(rate * self.factor, self.min_lr)",
            "rate * self.factor", "test_plateau_min_delta_and_min_lr",
        ),
        (
            "callbacks.learning_rate:ReduceLROnPlateau.on_epoch_end",
            "self.cooldown_counter, self.wait = self.cooldown, 0", "self.wait = 0", "test_plateau_cooldown",
        ),
        (
            "callbacks.learning_rate:ReduceLROnPlateau.on_epoch_end", "self.wait >= self.patience",
            "self.wait > self.patience", "test_plateau_reduces_after_patience_epochs",
        ),
        (
            "callbacks.learning_rate:LearningRateScheduler.on_epoch_end",
            'logs["learning_rate"] = learning_rate(self)', "pass", "test_schedule_sets_the_rate_of_the_epoch",
        ),
        (
            "callbacks.terminate_on_nan:TerminateOnNaN.on_train_batch_end", "not math.isfinite(loss)",
            "math.isnan(loss)", "test_terminate_on_nan",
        ),
    ],
    "callbacks/test_swap_ema_weights.py": [
        (
            "callbacks.swap_ema_weights:SwapEMAWeights.on_test_end", "self._put(average=False)", "pass",
            "test_what_has_the_average",
        ),
        (
            "callbacks.swap_ema_weights:SwapEMAWeights.close", "self._put(average=False)", "pass",
            "test_evaluate_alone_and_an_interrupt",
        ),
        (
            "callbacks.swap_ema_weights:SwapEMAWeights.on_train_end", "self.model.set_weights(self._held)", "pass",
            "test_what_has_the_average",
        ),
    ],
    "data/test_batched.py": [
        ("data.batched:Batched.__iter__", "self._epoch += 1", "pass", "test_each_epoch_has_an_order_of_its_own"),
        (
            "data.timeseries:timeseries_dataset_from_array", "-(-count // sequence_stride)", "count // sequence_stride",
            "test_windows",
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
    "layers/test_attention.py": [
        (
            "layers.scoring:Scoring._kept", '() if self.drops_scores else ("rate", "key", "step")', "()",
            "test_scores_and_dropout",
        ),
        (
            "layers.scoring:Scoring.compute_mask", "(mask, None) if self.return_attention_scores else mask", "mask",
            "test_masks",
        ),
        ("layers.weighing:Weighing.given_back", "inputs < 3", "inputs < 2", "test_several_inputs[2-plain]"),
        (
            "layers.scoring:Scoring.add_scores_grad", 'self.k.add(dk, more["dk"], out=dk)', "pass",
            "test_several_inputs[2-plain]",
        ),
        (
            "layers.attention:Attention._add_up_g", "self.k.add(total, one, out=total)", "pass",
            "test_several_inputs[2-plain]",
        ),
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
            "layers.random_color:RandomContrast.factors", "(1 - lower, 1 + upper)", "(1 - upper, 1 + lower)",
            "test_brightness_and_contrast",
        ),
        (
            "layers.random_color:RandomBrightness.deltas", "(high - low) * part", "high * part",
            "test_brightness_and_contrast",
        ),
        ("layers.random_erasing:RandomErasing.boxes", "coin < chance", "coin > chance", "test_erasing"),
        (
            "layers.random_erasing:RandomErasing.boxes", "size - length + 1", "size - length",
            "test_erasing_reaches_every_place_with_new_noise",
        ),
        (
            "layers.random_erasing:RandomErasing.forward", 'self.key("noise"), self.step', 'self.key("noise"), 0',
            "test_erasing_reaches_every_place_with_new_noise",
        ),
    ],
    "layers/test_lookup.py": [
        (
            "layers.lookup:Lookup.adapt", "sorted(counts, reverse=True)", "sorted(counts)",
            "test_adapt_takes_the_most_frequent_first",
        ),
        ("layers.lookup:Lookup.set_vocabulary", "else -1", "else 0", "test_output_modes"),
        ("layers.lookup:Lookup.bags", "weights.mean()", "0.0", "test_output_modes"),
        ("layers.discretization:Discretization.encode", 'side="right"', 'side="left"', "test_discretization"),
        (
            "layers.text_vectorization:TextVectorization.encode", "places < length", "places < length - 1",
            "test_texts",
        ),
    ],
    "layers/test_merging.py": [
        ("layers.merging_products:_Extreme.backward", "left = rest", "pass", "test_values_of_three_inputs"),
        ("layers.merging_products:Average.backward", "1 / self.inputs", "1 / 2", "test_values_of_three_inputs"),
        (
            "layers.merging_products:Multiply.backward", "self.k.multiply(one, other, out=one)", "pass",
            "test_values_of_three_inputs",
        ),
    ],
    "layers/test_multi_head_attention.py": [
        (
            "layers.scoring:Scoring.query_value_key", "key[0] if key else value", "value",
            "test_several_inputs_on_every_device",
        ),
        (
            "layers.scoring:Scoring.how", '"causal": self.use_causal_mask', '"causal": False',
            "test_several_inputs[masks-key]",
        ),
        (
            "layers.attending:Attending.build_heads", 'math.sqrt(self.sizes["query"])',
            'math.sqrt(self.heads["query"])', "test_the_formula",
        ),
        ("layers.scoring:Scoring.how", "self.step += 1", "pass", "test_dropout_does_not_depend_on_the_batch"),
        ("layers.attending:Attending.backward", "inputs < 3", "inputs < 2", "test_several_inputs[plain-value]"),
        (
            "layers.attending:Attending.backward", "if not self.needs_dx", "if self.needs_dx",
            "test_a_query_that_sees_nothing",
        ),
        ("layers.attending:Attending.flops", "t * seen", "t", "test_flops"),
        (
            "layers.several:attention_masks", 'found["query_mask"] = _bool(layer, masks[0]).reshape((samples, t))',
            "pass", "test_a_query_that_sees_nothing",
        ),
        (
            "layers.several:query_value_key", "shapes[0], shapes[min(1, len(shapes) - 1)], shapes[-1]",
            "shapes[0], shapes[-1], shapes[-1]", "test_weights_are_those_of_keras",
        ),
    ],
    "layers/test_parallel.py": [
        (
            "layers.parallel:Parallel.backward", "self.k.add(dx, other, out=dx)", "pass",
            "test_contract_of_three_branches[add]",
        ),
    ],
    "layers/test_positions.py": [
        (
            "layers.position_embedding:PositionEmbedding.learn",
            "self.k.add_positions(None, None, out=rest.reshape((1, *rest.shape)))", "pass",
            "test_shorter_sequences_leave_rows_alone",
        ),
        (
            "layers.rotary_embedding:RotaryEmbedding._rotated", "back=back", "back=False",
            "test_rotary_products_depend_on_the_distance",
        ),
        (
            "layers.rotary_embedding:RotaryEmbedding._rotated", "self.max_wavelength, self.scaling_factor",
            "self.max_wavelength, 1.0", "test_rotary_products_depend_on_the_distance",
        ),
        ("kernels.reference.position:sine_and_cosine", "k % 4", "k % 2", "test_sine_and_cosine"),
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
        (
            "layers.normalization:Normalization.backward", "invert=self.invert", "invert=False",
            "test_contract[layer6-shape6]",
        ),
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
    "layers/test_projected_lstm.py": [
        (
            "layers.projected_lstm:ProjectedLSTM.run", 'last(seen), end, r0', 'last(seen), end, end',
            "test_the_formula[cpu]",
        ),
        (
            "layers.projected_lstm:ProjectedLSTM.run_grad", "self._add(dR, r0, dz1)", "pass",
            "test_gradients_of_all_there_is[True]",
        ),
        (
            "layers.projected_lstm:ProjectedLSTM._firsts", "seen is None else steps", "True else steps",
            "test_the_formula[cpu]",
        ),
    ],
    "layers/test_recoloring.py": [
        ("layers.random_hue:RandomHue.numbers", "coin < 0.5", "coin < 0.0", "test_hue_is_that_of_hsv"),
        (
            "layers.random_blur:RandomGaussianBlur.weights", "total += 2 * column", "total += column",
            "test_gaussian_blur",
        ),
        (
            "layers.solarization:RandomPosterization.numbers", "self.factor[1] + 1", "self.factor[1]",
            "test_posterization_keeps_the_first_bits",
        ),
        ("layers.recoloring:Recolored.forward", "self.step += 1", "pass", "test_same_seed_same_images"),
        (
            "data.augment:Augment.__call__", "part.step = step", "part.step += 1",
            "test_augment_makes_the_same_images_however_many_threads",
        ),
    ],
    "layers/test_recurrent.py": [
        (
            "layers.recurrence:Recurrence.recurrent_mask", 'self._key("recurrent")', 'self._key("input")',
            "test_dropout_is_the_same_at_every_step",
        ),
        (
            "layers.recurrence:Recurrence.drop", "(*(1 for _ in x.shape[1:-1]), x.shape[-1])", "x.shape[1:]",
            "test_dropout_is_the_same_at_every_step",
        ),
        (
            "layers.recurrence:Recurrence.draws", "self.step += 1", "self.step = 1",
            "test_dropout_is_the_same_at_every_step",
        ),
        (
            "layers.recurrence:Recurrence.start", "self.k.copy(state, out=first)", "self.k.fill(0.0, out=first)",
            "test_the_gates",
        ),
        ("layers.recurrence:Recurrence.flops", "(shape[0] or 1) if len(shape) == 2 else 1", "1", "test_flops"),
        ("layers.lstm:_ForgetBias.values", "values[quarter : 2 * quarter]", "values[:quarter]", "test_the_gates"),
        ("layers.sequences:Sequences.forward", "if self.stateful:", "if False:", "test_stateful"),
        (
            "layers.sequences:Sequences.forward", 'in_steps(self, "mask steps", mask, self.go_backwards)',
            'in_steps(self, "mask steps", mask, False)', "test_padding_changes_no_bit",
        ),
        (
            "layers.sequences:Sequences._shown", "or self.zero_output_for_mask", "",
            "test_masked_steps_repeat_the_last_output",
        ),
        ("layers.sequences:Sequences.compute_mask", "if self.return_sequences else None", "", "test_compute_mask"),
        (
            "layers.sequences:Sequences.backward",
            'self.drop(in_samples(self, "dx", dxs, self.go_backwards), step, "dx dropped")',
            'in_samples(self, "dx", dxs, self.go_backwards)', "test_dropout_is_the_same_at_every_step",
        ),
        ("layers.gru:_GRU.biases", "[width : 2 * width]", "[0:width]", "test_the_gates"),
        (
            "layers.bidirectional:Bidirectional._merged", "self.k.times(y, 0.5, out=y)", "pass",
            "test_bidirectional_states",
        ),
        (
            "layers.bidirectional:halves", "(first, *states[half:])", "(first, *states[:half])",
            "test_bidirectional_states",
        ),
        (
            "layers.stacked_rnn_cells:StackedRNNCells.backward", "new + before", "before + new",
            "test_gradients_under_a_mask[RNN(cell=[StackedRNNCells(cells=[LSTMCel]",
        ),
    ],
    "layers/test_transformer.py": [
        (
            "layers.transformer:Transformer.build_parts", "width // self.num_heads", "width",
            "test_the_layers_inside_are_those_of_keras",
        ),
        (
            "layers.transformer_decoder:TransformerDecoder.make_parts", '("cross_attention", False)',
            '("cross_attention", True)', "test_the_future_and_padding_are_not_seen",
        ),
        (
            "layers.transformer_encoder:TransformerEncoder.forward", "attention.forward(a, training, mask,",
            "attention.forward(a, training, None,", "test_the_future_and_padding_are_not_seen",
        ),
    ],
    "losses/test_class_weights.py": [
        ("losses.weights:class_weights", "y.argmax(axis=-1)", "y.argmin(axis=-1)", "test_class_weights"),
        ("losses.weights:class_weights", "key >= num_classes", "key > num_classes", "test_wrong_class_weights"),
    ],
    "losses/test_every_loss.py": [
        (
            "losses.weighted:_Labels.gradient", "self.from_logits, scale", "not self.from_logits, scale",
            "test_central_differences[nll-reference]",
        ),
        (
            "losses.overlap:Tversky.gradient", "scale, out=out", "scale * 2, out=out",
            "test_central_differences[tversky-reference]",
        ),
        ("kernels.reference.element_loss:quantile_slope", "1 - q", "q", "test_central_differences[quantile-reference]"),
        (
            "kernels.reference.element_loss:binary_focal_logits_slope", "(1 - 2 * t)", "(1 - t)",
            "test_central_differences[binary focal, logits-reference]",
        ),
        (
            "kernels.reference.row_loss:multi_margin_slope", "-total(slope)", "0",
            "test_central_differences[multi-margin-reference]",
        ),
        (
            "kernels.reference.row_loss:focal_slope", "total(slope * share)", "total(slope)",
            "test_central_differences[categorical focal-reference]",
        ),
        (
            "kernels.reference.row_loss:tversky_slope", "(1 - alpha - beta) * t", "(1 - alpha) * t",
            "test_central_differences[tversky-reference]",
        ),
        (
            "kernels.reference.pair_loss:gaussian_slopes", "(e / var) ** 2", "e / var",
            "test_central_differences[gaussian-reference]",
        ),
        (
            "kernels.reference.pair_loss:cosine_embedding_slopes", "a / aa", "a / bb",
            "test_central_differences[cosine embedding-reference]",
        ),
        (
            "kernels.reference.pair_loss:triplet_margin_grad", "near - np.where(swap, 0, away)", "near - away",
            "test_central_differences[triplet, swap-reference]",
        ),
        ("kernels.reference.ctc:ctc_grad", "out[n] *= scale[n]", "pass", "test_central_differences[ctc-reference]"),
    ],
    "losses/test_losses.py": [
        ("losses.weights:check_sample_weight", "w >= 0", "w > 0", "test_all_weights_zero"),
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
        ("metrics.counts:FBetaScore.result", "square * fn + fp", "fn + square * fp", "test_more_by_hand"),
        (
            "metrics.counts:FBetaScore.result", "((tp + fn) * score).sum()", "((tp + fp) * score).sum()",
            "test_more_by_hand",
        ),
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
        ("metrics.agreement:CohenKappa.result", "apart**2", "apart", "test_more_by_hand"),
        ("metrics.agreement:MatthewsCorrelation.result", "(t * p).sum()", "0", "test_more_by_hand"),
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
    "models/test_fixed_calls.py": [
        (
            "models.checking:_Checked._hold", "part.state[name][...] = values", "pass",
            "test_gradient_check_of_a_layer_called_both_ways",
        ),
    ],
    "models/test_functional.py": [
        (
            "models.graph:total", "others and devices.current_workspace() is None", "False",
            "test_backward_leaves_dy_alone",
        ),
        (
            "models.graph:spread", 'if not type(layer).__module__.startswith("npdl."):', "if False:",
            "test_one_array_as_two_gradients",
        ),
        (
            "models.graph:Graph._link", "readers[op.sources[0]] == 1", "True",
            "test_forward_and_backward_are_the_formulas",
        ),
        ("models.graph:Graph.backward", "clear(layer)", "pass", "test_forward_and_backward_are_the_formulas"),
        (
            "models.repeated:Repeated._add_up", "k.add(grad, other, out=grad)", "pass",
            "test_forward_and_backward_are_the_formulas",
        ),
        (
            "models.repeated:Repeated.skip", "clear(self.layer)", "pass",
            "test_a_call_of_a_shared_layer_without_a_gradient",
        ),
        (
            "models.repeated:Repeated.backward", "part.save(*values)", "pass",
            "test_forward_and_backward_are_the_formulas",
        ),
        (
            "models.functional:Model._check_arrays", "len({len(x) for x in xs}) > 1", "False",
            "test_data_that_do_not_fit",
        ),
        (
            "models.heads:Head._loss", "if dy is not None and self.weight != 1:", "if False:",
            "test_fit_is_the_step_by_hand_to_the_last_bit",
        ),
    ],
    "models/test_masks.py": [
        (
            "models.heads:Head.score",
            "plain, w = losses.step_weights(None if mask is None else device.to_host(mask), w)",
            "plain, _ = losses.step_weights(None if mask is None else device.to_host(mask), w)",
            "test_by_hand_is_what_fit_does",
        ),
        (
            "layers.masks:forward",
            "layer.forward(x, training, mask) if takes_mask(layer) else layer.forward(x, training)",
            "layer.forward(x, training)", "test_layers_get_the_mask",
        ),
    ],
    "models/test_replay.py": [
        ("models.replay:Replays._is_patched", "is not method", "is None", "test_a_patched_class_is_seen"),
    ],
    "optimizers/test_services.py": [
        (
            "optimizers.services:Services.accumulate", "float(number > 1), weight", "1.0, weight",
            "test_accumulated_batches_make_the_step_of_the_big_batch",
        ),
        (
            "optimizers.services:Services.accumulate", "number + 1, total + weight", "number + 1, total + 1.0",
            "test_by_hand_each_batch_counts_alike_or_by_its_weight",
        ),
        ("optimizers.services:Services.clip_gradient", "np.maximum(norms, limit)", "norms", "test_clipping"),
        (
            "optimizers.services:Services.follow", "self.ema_momentum if self.iterations else 0.0",
            "self.ema_momentum", "test_average_overwrites_and_finalizes",
        ),
        (
            "optimizers.services:Services.follow", "(self.iterations + 1) % every", "self.iterations % every",
            "test_average_overwrites_and_finalizes",
        ),
        (
            "optimizers.groups:Groups._scale_and_decay",
            'decay if group["weight_decay"] is None else group["weight_decay"]', "decay",
            "test_groups_have_a_rate_and_a_decay_of_their_own",
        ),
        (
            "optimizers.groups:Groups._segments_of", "len(self._groups)", "0",
            "test_groups_have_a_rate_and_a_decay_of_their_own",
        ),
        ("optimizers.state:State._fill", "if value is None:", "if False:", "test_lookahead"),
        (
            "optimizers.state:State.get_state", "if self.accumulated[0]:", "if False:",
            "test_an_accumulation_is_resumed_in_its_midst",
        ),
    ],
    "test_added_losses.py": [
        (
            "penalties:Ruled._sum", "gradient is None or is_unpenalized()", "gradient is None",
            "test_accumulated_gradients_are_those_of_the_big_batch",
        ),
        ("penalties:Ruled.penalizes", "self.adds_loss or ", "", "test_it_is_in_the_loss"),
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
