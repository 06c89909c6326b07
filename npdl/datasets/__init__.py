"""Standard small data sets with Keras' names, shapes and dtypes: `load_data() -> (x_train, y_train), (x_test, y_test)`.

`digits` comes with scikit-learn. The others are read from their original files: in `$NPDL_DATA`, in the folders where
Keras and torchvision keep theirs, or in npdl's own cache, where they are downloaded to if they are nowhere.
"""

from npdl.datasets import california_housing, cifar10, digits, fashion_mnist, mnist

__all__ = ["california_housing", "cifar10", "digits", "fashion_mnist", "mnist"]
