"""Images in folders, one a class."""

import pathlib

import numpy as np

from npdl import random
from npdl.data.batched import Batched
from npdl.data.pictures import MODES, img_to_array, load_img, pillow
from npdl.layers import Resizing

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


class Images(Batched):
    """Images of a folder as batches; `class_names` says what a label means, `file_paths` where each image lies."""

    def __init__(self, files, labels, class_names, load, batch_size, shuffle, seed):
        self.class_names, self.file_paths, self.labels = class_names, [str(file) for file in files], labels

        def take(rows):
            x = np.stack([load(files[row]) for row in rows])
            return x if labels is None else (x, labels[rows])

        super().__init__(take, len(files), batch_size, shuffle, seed)


def image_dataset_from_directory(
    directory, labels="inferred", label_mode="int", class_names=None, color_mode="rgb", batch_size=32,
    image_size=(256, 256), shuffle=True, seed=None, validation_split=None, subset=None, interpolation="bilinear",
    follow_links=False, crop_to_aspect_ratio=False, pad_to_aspect_ratio=False, data_format=None, verbose=True,
):  # fmt: skip
    """Images of the folders directory/class/..., as batches that `fit` takes: read and resized when they are due.

    It needs Pillow, which comes with matplotlib. Files are those that end in .bmp, .gif (its first picture), .jpeg,
    .jpg or .png, of all folders below, in the order of their names.

    Args:
        directory: where the folders are; with labels other than "inferred" the images may lie in it themselves.
        labels: "inferred" from the folders; None; or a list of whole numbers, one a file in the order of their paths.
        label_mode: "int" for y (N,), int32; "categorical" for rows of 0 and 1; "binary" for (N, 1) of 0 and 1, float32;
            None for images alone.
        class_names: the folders in the order of their numbers; None is the alphabet's.
        color_mode: "grayscale", "rgb" or "rgba": 1, 3 or 4 channels.
        batch_size: images a batch.
        image_size: (height, width) of x.
        shuffle: whether the images of each epoch come in an order of their own, and the files are shuffled before a
            part is held out.
        seed: of the orders; with validation_split and shuffle it must be given.
        validation_split: the share of files to hold out.
        subset: which part of it to return: "training", "validation" or "both", as a pair.
        interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio: as of `layers.Resizing`.
        follow_links: whether folders that are links are read.
        data_format: None or "channels_last".
        verbose: whether to say how many files were found.

    Returns:
        `Images`, of batches (x, y) or x; x (N, height, width, channels) float32 of 0 ... 255.

    Raises:
        ValueError: no files, folders that class_names does not name, arguments that do not go together.
        ImportError: Pillow is not installed.
    """
    pillow()  # raises now rather than with the first batch
    if color_mode not in MODES or label_mode not in ("int", "categorical", "binary", None):
        raise ValueError(
            f'color_mode is "grayscale", "rgb" or "rgba", label_mode "int", "categorical", "binary" or None, got '
            f"color_mode={color_mode!r}, label_mode={label_mode!r}"
        )
    if (validation_split is None) != (subset is None) or subset not in (None, "training", "validation", "both"):
        raise ValueError(
            'validation_split=0.2 goes with subset="training", "validation" or "both", got '
            f"validation_split={validation_split!r}, subset={subset!r}"
        )
    if validation_split is not None and shuffle and seed is None:
        raise ValueError("validation_split with shuffle=True needs a seed, so that both subsets agree; pass seed=0")
    files, numbers, names = _files(pathlib.Path(directory), labels, class_names, follow_links)
    if label_mode == "binary" and names is not None and len(names) != 2:
        raise ValueError(f'label_mode="binary" needs two classes, found {len(names)}; pass label_mode="int"')
    height, width = image_size
    channels = {"L": 1, "RGB": 3, "RGBA": 4}[MODES[color_mode]]
    resizing = Resizing(
        height, width, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio, data_format=data_format
    ).init((None, None, channels), seed=0)

    def load(file):
        return resizing(img_to_array(load_img(file, color_mode))[None])[0]

    y = None if numbers is None or label_mode is None else np.array(numbers, np.int32)
    if y is not None and label_mode != "int":
        y = (y[:, None] == np.arange(len(names)) if label_mode == "categorical" else y[:, None]).astype(np.float32)
    if shuffle and validation_split is not None:
        rows = random.permutation(random.key(seed, "directory"), len(files))
        files, y = [files[row] for row in rows], None if y is None else y[rows]
    held_out = 0 if validation_split is None else int(validation_split * len(files))
    if validation_split is not None and not 0 < held_out < len(files):
        raise ValueError(f"validation_split={validation_split} of {len(files)} files leaves one part empty")
    at = len(files) - held_out
    if verbose:
        said = "" if validation_split is None else f": {at} to train on, {held_out} held out"
        print(f"found {len(files)} files{'' if names is None else f' of {len(names)} classes'}{said}")

    def made(part):
        return Images(files[part], None if y is None else y[part], names, load, batch_size, shuffle, seed)

    if subset == "both":
        return made(slice(0, at)), made(slice(at, None))
    return made(slice(at, None) if subset == "validation" else slice(0, at))


def _files(directory, labels, class_names, follow_links):
    """(paths, numbers of their classes, names of the classes)"""
    if isinstance(labels, str) and labels != "inferred":
        raise ValueError(f'labels is "inferred", None or a list of whole numbers, one a file, got {labels!r}')
    if not directory.is_dir():
        raise ValueError(f"there is no folder {str(directory)!r}; pass the folder that holds one folder a class")
    if not isinstance(labels, str):
        files = _below(directory, follow_links)
        if labels is not None and len(labels) != len(files):
            raise ValueError(f"{len(labels)} labels were given, and {len(files)} files found; pass one a file")
        names = None if labels is None else class_names or [str(n) for n in sorted(set(labels))]
        return files, labels, names
    folders = sorted(folder.name for folder in directory.iterdir() if folder.is_dir())
    if class_names is not None and sorted(class_names) != folders:
        raise ValueError(f"class_names must be the folders {folders}, in any order, got {class_names!r}")
    names, files, numbers = list(class_names or folders), [], []
    for number, name in enumerate(names):
        found = _below(directory / name, follow_links)
        files, numbers = files + found, numbers + [number] * len(found)
    if not files:
        raise ValueError(
            f"no images lie in the folders {folders} of {str(directory)!r}, whose names end in {', '.join(ENDINGS)}; "
            "pass the folder that holds one folder a class, or labels=None"
        )
    return files, numbers, names


def _below(folder, follow_links):
    """The images of a folder and of those inside, in the order of their paths."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            found += _below(path, follow_links) if follow_links or not path.is_symlink() else []
        elif path.suffix.lower() in ENDINGS:
            found.append(path)
    return found
