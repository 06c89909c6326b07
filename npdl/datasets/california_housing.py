"""California housing: 20,640 districts of the census of 1990, and what a house cost there.

Reference: Pace and Barry, Sparse Spatial Autoregressions, 1997.
"""

import numpy as np

from npdl import random
from npdl.datasets import files

FEATURE_NAMES = (
    "longitude", "latitude", "housing_median_age", "total_rooms", "total_bedrooms", "population", "households",
    "median_income",
)  # fmt: skip
"""The name of each column of x."""

FILES = (
    files.File(
        "cal_housing.data",
        "a2b44dcc7e1c9091b43c4f458b25cbd1f7e8068d08edd26bc4703108d3fa6214",
        ("https://ndownloader.figshare.com/files/5976036",),
        member="CaliforniaHousing/cal_housing.data",
    ),
)
SIZES = {"small": 600, "large": 20640}


def load_data(version="large", test_split=0.2, seed=113):
    """Eight numbers a district, and the median house value in dollars.

    The columns are those of the original file, named in `FEATURE_NAMES`: rooms and bedrooms are totals of the district,
    not the averages that Keras' documentation speaks of. The rows are shuffled as Keras shuffles them, so that seed=113
    gives its training and test rows. There is no `path` argument. The file is looked for in
    $NPDL_DATA/california-housing and ~/.cache/npdl/california-housing, and else downloaded to the last.

    Args:
        version: "large", or "small" for the first 600 rows.
        test_split: share of the rows for testing, 0 <= test_split < 1.
        seed: of the shuffle, below 2³².

    Returns:
        (x_train, y_train), (x_test, y_test): features (N, 8) and targets (N,), float32; N is 16,512 and 4,128, for
        "small" 480 and 120. The columns differ in size by 10⁴: standardise them, and divide y by 100,000.

    Raises:
        FileNotFoundError: the file is in none of these folders and cannot be downloaded.
        ValueError: the file is damaged, or an argument is none of these.
    """
    if version not in SIZES:
        raise ValueError(f'california_housing has no version {version!r}; pass version="large" or version="small"')
    if not 0 <= test_split < 1:
        raise ValueError(f"test_split must be at least 0 and below 1, got {test_split!r}; pass e.g. test_split=0.2")
    content = files.load("california_housing", FILES, files.folders("california-housing"))["cal_housing.data"]
    table = np.array(content.replace(b"\n", b",").rstrip(b",").split(b","), np.float64).reshape(-1, 9)[: SIZES[version]]
    table = table.astype(np.float32)
    order = np.arange(len(table))
    np.random.RandomState(random.check_seed(seed)).shuffle(order)  # NumPy keeps this generator's numbers fixed
    table = table[order]
    cut = int(len(table) * (1 - test_split))
    return (table[:cut, :-1].copy(), table[:cut, -1].copy()), (table[cut:, :-1].copy(), table[cut:, -1].copy())
