"""MNIST: 70,000 handwritten digits, 28 x 28 grey pixels.

Reference: LeCun, Bottou, Bengio and Haffner, Gradient-Based Learning Applied to Document Recognition, 1998.
"""

from npdl.datasets import files, idx

URLS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
FILES = tuple(
    files.File(name, sha256, tuple(url + name for url in URLS), content)
    for name, sha256, content in (
        (
            "train-images-idx3-ubyte.gz",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    )
)


def load_data():
    """The digits and their labels, as Keras gives them.

    The four IDX files are looked for in $NPDL_DATA/mnist, Keras' folder (mnist.npz too), torchvision's ./data/MNIST/raw
    and ~/.cache/npdl/mnist, and else downloaded to the last.

    Returns:
        (x_train, y_train), (x_test, y_test): images (60000, 28, 28) and (10000, 28, 28) uint8, labels 0 ... 9
        (60000,) and (10000,) uint8.

    Raises:
        FileNotFoundError: a file is in none of these folders and cannot be downloaded.
        ValueError: a file is damaged.
    """
    others = [(files.keras_folder() / "mnist.npz", idx.read_npz)]
    return idx.load("mnist", FILES, files.folders("mnist", "MNIST/raw"), others)
