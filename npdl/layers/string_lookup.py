"""StringLookup and IntegerLookup: tokens as numbers, and back."""

import numpy as np

from npdl.layers import arguments
from npdl.layers.lookup import Lookup
from npdl.layers.on_host import hash_of, strings


class _Arrays(Lookup):
    """What the two share: they read arrays of tokens, or with `invert` of numbers."""

    def encode(self, inputs):
        if self.invert:
            return self._tokens_of(inputs)
        tokens = self.tokens(inputs)
        unique, inverse = np.unique(tokens, return_inverse=True)
        ids = self.numbers_of(unique.tolist())[inverse].reshape(tokens.shape)
        return self.coded(ids, self.depth())

    def _tokens_of(self, inputs):
        numbers, known = np.asarray(inputs), np.array(self.get_vocabulary())
        if numbers.dtype.kind not in "iu":
            raise TypeError(f"{self.name} with invert=True reads whole numbers, got dtype {numbers.dtype}")
        inside = (numbers >= 0) & (numbers < len(known))
        return np.where(inside, known[np.where(inside, numbers, 0)], self.oov_token)

    def documents(self, data):
        tokens = self.tokens(data)
        return tokens.reshape(-1, tokens.shape[-1] if tokens.ndim > 1 else 1).tolist()

    def tokens(self, inputs):
        """An array of tokens."""
        raise NotImplementedError(f"{type(self).__name__} needs tokens(self, inputs)")


class StringLookup(_Arrays):
    """Strings as numbers, on the host, before the model; with `invert` numbers as strings.

        int         y[n, t] = the number of x[n, t]: 0 the mask, if there is one, then num_oov_indices places for
                    unknown strings, then the vocabulary in its order
        one_hot     y[n, t, v] = 1 where x[n, t] has number v
        multi_hot   y[n, v] = 1 where v is among x[n];      count  how often it is;      tf_idf  that times a weight

    The vocabulary is given, or taken from data by `adapt`: the most frequent strings first. An unknown string takes the
    place that a hash of it says, where there are several (not Keras' hash).

    Shapes: x (..., T) of strings or bytes · y int32 of that shape, or float32 (..., V) (one_hot (..., T, V)).

    Args:
        max_tokens: the size of the vocabulary at most, special tokens counted; None is any.
        num_oov_indices: places for unknown strings; with 0 one raises.
        mask_token: a string that stands for padding, and in all but "int" for nothing; None is none.
        oov_token: what unknown strings become on the way back.
        vocabulary: a list or array of strings, or the path of a file with one a line.
        idf_weights: of "tf_idf" with a given vocabulary: one a string; unknown ones have their mean.
        invert: read numbers.
        output_mode: "int", "one_hot", "multi_hot", "count" or "tf_idf".
        pad_to_max_tokens: V is max_tokens, however small the vocabulary.
        sparse: False.
        encoding: of bytes and of the file.
        salt: a whole number, or two: another one makes another hash of unknown strings.

    Raises:
        ValueError: arguments that do not go together, a vocabulary with a string twice.
        TypeError: no strings; a layer inside a model.
        RuntimeError: it has no vocabulary.

    >>> layer = StringLookup(vocabulary=["a", "b", "c", "d"])
    >>> layer([["a", "c", "d"], ["d", "z", "b"]]).tolist()
    [[1, 3, 4], [4, 0, 2]]
    """

    def __init__(
        self, max_tokens=None, num_oov_indices=1, mask_token=None, oov_token="[UNK]", vocabulary=None,
        idf_weights=None, invert=False, output_mode="int", pad_to_max_tokens=False, sparse=False, encoding="utf-8",
        salt=None, **base,
    ):  # fmt: skip
        self.encoding, self.salt = encoding, salt if salt is None or isinstance(salt, int) else tuple(salt)
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, **base,
        )  # fmt: skip

    def tokens(self, inputs):
        return strings(self, inputs)


class IntegerLookup(_Arrays):
    """Whole numbers of any size as numbers from 0 on, on the host, before the model; with `invert` back.

    As `StringLookup`; of several places an unknown number n takes n mod num_oov_indices, or by a hash.

    Shapes: x (..., T) of whole numbers · y int32 of that shape, or float32 (..., V) (one_hot (..., T, V)).

    Args:
        max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse: as of `StringLookup`, with numbers for strings.
        vocabulary_dtype: "int64" or "int32", of what `invert` makes.
        oov_method: "floormod" or "farmhash": how an unknown number takes its place (the hash is not Keras').
        salt: of the hash.

    Raises:
        ValueError, TypeError, RuntimeError: as `StringLookup`.

    >>> layer = IntegerLookup()
    >>> layer.adapt([[12, 1138, 42], [42, 1000, 36]])
    >>> layer.get_vocabulary()
    [-1, 42, 1138, 1000, 36, 12]
    """

    def __init__(
        self, max_tokens=None, num_oov_indices=1, mask_token=None, oov_token=-1, vocabulary=None,
        vocabulary_dtype="int64", idf_weights=None, invert=False, output_mode="int", sparse=False,
        pad_to_max_tokens=False, oov_method="floormod", salt=None, **base,
    ):  # fmt: skip
        self.vocabulary_dtype = str(np.dtype(vocabulary_dtype))
        self.oov_method = arguments.one_of(self, "oov_method", oov_method, ("floormod", "farmhash"))
        self.salt = salt if salt is None or isinstance(salt, int) else tuple(salt)
        super().__init__(
            max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
            pad_to_max_tokens, sparse, **base,
        )  # fmt: skip

    def tokens(self, inputs):
        tokens = np.asarray(inputs)
        if tokens.dtype.kind not in "iu":
            raise TypeError(
                f"{self.name} reads whole numbers, got dtype {tokens.dtype}; pass x.astype('int64'), "
                "or take layers.StringLookup for strings and layers.Discretization for measurements"
            )
        return tokens

    def token(self, value):
        return int(value)

    def bucket(self, token):
        return token if self.oov_method == "floormod" else hash_of(self.salt, token)

    def _tokens_of(self, inputs):
        return super()._tokens_of(inputs).astype(self.vocabulary_dtype)
