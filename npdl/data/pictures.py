"""Pictures in files as arrays, and back, by Pillow, which is imported when it is first needed."""

import numpy as np

MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
"""Channels by Keras' names, and what Pillow calls them."""
METHODS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def pillow():
    """The module PIL.Image.

    Raises:
        ImportError: it is not installed; the message says how it is.
    """
    try:
        import PIL.Image
    except ImportError:
        raise ImportError("pictures are read and written by Pillow; run pip install pillow") from None
    return PIL.Image


def load_img(path, color_mode="rgb", target_size=None, interpolation="nearest", keep_aspect_ratio=False):
    """The picture in a file, as Pillow has it.

    Args:
        path: of the file, or an open one.
        color_mode: "grayscale", "rgb" or "rgba".
        target_size: (height, width) to resize it to; None leaves it as it is.
        interpolation: "nearest", "bilinear", "bicubic", "hamming", "box" or "lanczos", Pillow's.
        keep_aspect_ratio: cut the largest part in the middle that has the proportions of target_size, and resize that.

    Raises:
        ValueError: another color_mode or interpolation.
        ImportError: Pillow is not installed.
    """
    images = pillow()
    if color_mode not in MODES or interpolation not in METHODS:
        raise ValueError(
            f'color_mode is "grayscale", "rgb" or "rgba", interpolation one of {", ".join(METHODS)}, got '
            f"color_mode={color_mode!r}, interpolation={interpolation!r}"
        )
    with images.open(path) as picture:
        picture = picture.convert(MODES[color_mode])
    if target_size is None or tuple(target_size) == picture.size[::-1]:
        return picture
    height, width = target_size
    box = (0, 0, *picture.size)
    if keep_aspect_ratio:
        w, h = picture.size
        part = min(w, h * width // height), min(h, w * height // width)
        left, top = (w - part[0]) // 2, (h - part[1]) // 2
        box = left, top, left + part[0], top + part[1]
    return picture.resize((width, height), getattr(images.Resampling, interpolation.upper()), box)


def img_to_array(img, data_format=None, dtype=None):
    """A picture of Pillow's as an array (height, width, channels), one channel where it is grey.

    Args:
        img: the picture, or an array of two or three axes.
        data_format: None or "channels_last".
        dtype: of the array; None is float32.

    Raises:
        ValueError: data_format is another, or the array has other axes.
    """
    _demand_last(data_format)
    x = np.asarray(img, dtype or "float32")
    if x.ndim not in (2, 3):
        raise ValueError(f"img_to_array reads pictures (height, width) or (height, width, channels), got {x.shape}")
    return x if x.ndim == 3 else x[..., None]


def array_to_img(x, data_format=None, scale=True, dtype=None):
    """An array (height, width, channels) of 1, 3 or 4 channels as a picture of Pillow's.

    Args:
        x: the array.
        data_format: None or "channels_last".
        scale: whether its least number becomes 0 and its largest 255; else numbers beyond 0 ... 255 are cut, and all
            are rounded down.
        dtype: what x is converted to first; None is float32.

    Raises:
        ValueError: data_format is another, or the array has other axes or channels.
        ImportError: Pillow is not installed.
    """
    _demand_last(data_format)
    x = np.asarray(x, dtype or "float32")
    if x.ndim != 3 or x.shape[2] not in (1, 3, 4):
        raise ValueError(
            f"array_to_img reads (height, width, channels) of 1, 3 or 4 channels, got {x.shape}; of a batch pass x[0], "
            "of a grey picture x[..., None]"
        )
    if scale:
        x = x - x.min()
        x = x * (255 / largest) if (largest := x.max()) else x
    whole = np.clip(x, 0, 255).astype("uint8")
    return pillow().fromarray(whole[..., 0] if x.shape[2] == 1 else whole)


def save_img(path, x, data_format=None, file_format=None, scale=True, **kwargs):
    """Write an array (height, width, channels) as a picture.

    Args:
        path: of the file, or one that is open for writing.
        x, data_format, scale: as of `array_to_img`.
        file_format: e.g. "png"; None: as the name of the file ends.
        kwargs: passed to Pillow's `save`, e.g. quality=90.

    Raises:
        ValueError, ImportError: as `array_to_img`.
    """
    picture = array_to_img(x, data_format, scale)
    ending = file_format or str(path).rpartition(".")[2]
    if picture.mode == "RGBA" and ending.lower() in ("jpg", "jpeg"):  # which have no transparency
        picture = picture.convert("RGB")
    picture.save(path, {"jpg": "jpeg"}.get(file_format, file_format), **kwargs)


def _demand_last(data_format):
    if data_format not in (None, "channels_last"):
        raise ValueError(
            f"pictures are kept channels last, (height, width, channels), got data_format={data_format!r}; leave it "
            "out and pass np.moveaxis(x, 0, -1)"
        )
