"""Pictures of what a model says. matplotlib is imported with the first one, and needs no display."""

import functools
import io
from typing import Any

import numpy as np

__all__ = ["learning_rate_curve", "prediction_grid"]

RIGHT, WRONG = "#333333", "#d62728"


def prediction_grid(images, y_true, y_pred, class_names=None, columns=8, path=None, limit=64):
    """Images in rows, each under what the model took it for; the wrong ones in red, with what it is.

    Above an image stands the predicted class; where `y_pred` holds probabilities, the model's own for that class too:
    "7  98 %", and in red "1  61 %, is 7".

    Args:
        images: (N, H, W), (N, H, W, 1) grey or (N, H, W, 3) colour, of any numeric dtype. Grey levels run from the
            smallest to the largest value shown; colours are 0 ... 255 (uint8) or 0 ... 1, and anything else is
            stretched to that.
        y_true: classes, (N,) or (N, 1), or one-hot rows (N, C).
        y_pred: what `model.predict(images)` returned: (N, C), or (N, 1) from one sigmoid; or classes (N,).
        class_names: name of each class; None prints the numbers.
        columns: images in a row.
        path: where to save the picture too, e.g. "predictions.png".
        limit: how many images are drawn, from the first; None draws all.

    Returns:
        the `matplotlib.figure.Figure`; a notebook shows it.

    Raises:
        ValueError: shapes or lengths that do not fit together, or too few class names.
        ImportError: matplotlib is not installed.
    """
    images = _pictures(images)
    true, _ = _classes(y_true, "y_true")
    predicted, probability = _classes(y_pred, "y_pred")
    if not len(images) == len(true) == len(predicted) or not len(images):
        raise ValueError(
            f"prediction_grid needs as many labels as images, at least one of each: got {len(images)} images, "
            f"{len(true)} y_true, {len(predicted)} y_pred; pass the same rows of all three, e.g. x[:64], y[:64], p[:64]"
        )
    if columns < 1:
        raise ValueError(f"prediction_grid needs at least one column, got columns={columns}; pass e.g. columns=8")
    if class_names is not None and len(class_names) <= max(true.max(), predicted.max()):
        raise ValueError(
            f"class_names has {len(class_names)} names, and the classes go up to {max(true.max(), predicted.max())}; "
            "pass one name a class, in their order"
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("prediction_grid needs matplotlib; pip install matplotlib") from error

    first = "the first " if limit is not None and limit < len(images) else ""
    images, true, predicted = images[:limit], true[:limit], predicted[:limit]
    colours, stretch = _colours(images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    figure: Any = Figure(figsize=(1.35 * columns, 1.5 * rows + 0.5), layout="constrained")
    for i, image in enumerate(colours):
        wrong = true[i] != predicted[i]
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(image, cmap="gray", interpolation="nearest", **stretch)
        axes.set(xticks=[], yticks=[])
        for side in axes.spines.values():
            side.set(color=WRONG if wrong else RIGHT, linewidth=2.5 if wrong else 0.5)
        text = _name(predicted[i], class_names)
        if probability is not None:
            text += f"  {100 * probability[i]:.0f} %"
        if wrong:
            text += (", is " if class_names is None else "\nis ") + _name(true[i], class_names)
        axes.set_title(text, color=WRONG if wrong else RIGHT, fontsize=8)
    figure.suptitle(f"{np.count_nonzero(true == predicted)} of {first}{len(images)} right", fontsize=10)
    figure._repr_png_ = functools.partial(_png, figure)  # notebooks show a figure only if pyplot has been set up
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def learning_rate_curve(rates, losses, smoothed=None, suggestion=None, path=None):
    """Loss over learning rate, on a logarithmic axis: what `npdl.models.find_learning_rate` saw.

    Args:
        rates, losses: of each step.
        smoothed: running mean of the losses, drawn on top.
        suggestion: a rate to mark.
        path: where to save the picture too, e.g. "rates.png".

    Returns:
        the `matplotlib.figure.Figure`; a notebook shows it.

    Raises:
        ValueError: no steps, or not as many rates as losses.
        ImportError: matplotlib is not installed.
    """
    if not len(rates) == len(losses) or not len(rates):
        raise ValueError(
            f"learning_rate_curve needs as many losses as rates, at least one of each, got {len(rates)} rates and "
            f"{len(losses)} losses"
        )
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("learning_rate_curve needs matplotlib; pip install matplotlib") from error
    figure: Any = Figure(figsize=(6.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    faint = {"color": "#9ecae1", "linewidth": 1} if smoothed is not None else {}
    axes.plot(rates, losses, label="loss of each step", **faint)
    if smoothed is not None:
        axes.plot(rates, smoothed, color="#08519c", linewidth=2, label="smoothed")
        low, high = min(*smoothed, *losses), max(smoothed)  # what one step loses at last would flatten all else
        axes.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    if suggestion is not None:
        axes.axvline(suggestion, color=WRONG, linestyle="--", linewidth=1.2, label=f"falls fastest: {suggestion:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss", title="Loss while the learning rate rises")
    axes.grid(alpha=0.3)
    axes.legend()
    figure._repr_png_ = functools.partial(_png, figure)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _pictures(images):
    """(N, H, W) or (N, H, W, 3)"""
    images = np.asarray(images)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[-1] != 3):
        raise ValueError(
            f"prediction_grid needs images of shape (N, H, W), (N, H, W, 1) or (N, H, W, 3), got {images.shape}; "
            "one image is images[None], a flat one images.reshape(-1, 28, 28)"
        )
    return images


def _colours(images):
    """The images as matplotlib draws them, and the limits of grey."""
    if images.ndim == 3:
        return images, {"vmin": images.min(), "vmax": images.max()}
    if images.dtype != np.uint8 and (images.min() < 0 or images.max() > 1):
        low, high = float(images.min()), float(images.max())
        images = (images - low) / max(high - low, 1e-30)
    return images, {}


def _classes(y, name):
    """(classes, probability of each or None) from classes, one-hot rows, probabilities or scores."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        classes = y.argmax(axis=1)
        rows_of_one = np.all((y >= 0) & (y <= 1)) and np.allclose(y.sum(axis=1), 1, atol=1e-3)
        return classes, y.max(axis=1) if rows_of_one else None
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 1 and y.dtype.kind in "iub":
        return y.astype(np.int64), None
    if y.ndim == 1 and y.dtype.kind == "f":
        if np.all((y == np.floor(y)) & (y >= 0)):
            return y.astype(np.int64), None
        if np.all((y >= 0) & (y <= 1)):  # of class 1, from one sigmoid
            return (y > 0.5).astype(np.int64), np.maximum(y, 1 - y)
    raise ValueError(
        f"{name} must be classes (N,), probabilities (N, C) or those of one sigmoid (N, 1), got dtype {y.dtype}, "
        f"shape {y.shape}; pass e.g. {name}={'labels' if name == 'y_true' else 'model.predict(x)'}"
    )


def _name(number, class_names):
    return str(number) if class_names is None else class_names[number]


def _png(figure):
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()
