"""Fashion-MNIST: 70,000 pictures of clothes, 28 x 28 grey pixels.

Reference: Xiao, Rasul and Vollgraf, Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
Algorithms, 2017.
"""

from npdl.datasets import files, idx

CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
"""The name of each label."""

URLS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
FILES = tuple(
    files.File(name, sha256, tuple(url + name for url in URLS), content)
    for name, sha256, content in (
        (
            "train-images-idx3-ubyte.gz",
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        (
            "train-labels-idx1-ubyte.gz",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
        (
            "t10k-images-idx3-ubyte.gz",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        (
            "t10k-labels-idx1-ubyte.gz",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    )
)


def load_data():
    """The pictures and their labels, as Keras gives them; `CLASS_NAMES` says what a label means.

    The four IDX files are looked for in $NPDL_DATA/fashion-mnist, Keras' folder, torchvision's
    ./data/FashionMNIST/raw and ~/.cache/npdl/fashion-mnist, and else downloaded to the last.

    Returns:
        (x_train, y_train), (x_test, y_test): images (60000, 28, 28) and (10000, 28, 28) uint8, labels 0 ... 9
        (60000,) and (10000,) uint8.

    Raises:
        FileNotFoundError: a file is in none of these folders and cannot be downloaded.
        ValueError: a file is damaged.
    """
    return idx.load("fashion_mnist", FILES, files.folders("fashion-mnist", "FashionMNIST/raw"))
