"""Lookup: the base of the layers that give each token of a vocabulary its number."""

import collections
import os

import numpy as np

from npdl.kernels.reference.normal import log
from npdl.layers import arguments
from npdl.layers.on_host import OnHost, batches_of, hash_of, mode_of


class Lookup(OnHost):
    """Tokens as numbers: [the mask], the places for unknown tokens, then the vocabulary.

    A subclass writes `documents` and `encode`.

    Attributes:
        vocabulary: the known tokens; None before `adapt` or `set_vocabulary`.
        idf_weights: of "tf_idf": of each of them ln(1 + documents / (1 + documents that have it)); None otherwise.
    """

    encoding, salt = "utf-8", None

    def __init__(
        self, max_tokens, num_oov_indices, mask_token, oov_token, vocabulary, idf_weights, invert, output_mode,
        pad_to_max_tokens, sparse, **base,
    ):  # fmt: skip
        super().__init__(**base)
        kind = type(self).__name__
        self.output_mode = mode_of(self, "multi_hot" if output_mode == "binary" else output_mode, ("tf_idf",))
        self.num_oov_indices, self.mask_token, self.oov_token = num_oov_indices, mask_token, oov_token
        if not isinstance(num_oov_indices, int) or num_oov_indices < 0:
            raise ValueError(f"{kind} needs num_oov_indices to be a whole number from 0 on, got {num_oov_indices!r}")
        if invert and output_mode != "int":
            raise ValueError(f'{kind} with invert=True reads numbers, got output_mode={output_mode!r}; make it "int"')
        if pad_to_max_tokens and max_tokens is None:
            raise ValueError(f"{kind} with pad_to_max_tokens=True needs max_tokens; pass e.g. max_tokens=10000")
        self.invert, self.pad_to_max_tokens, self.max_tokens = bool(invert), bool(pad_to_max_tokens), max_tokens
        if max_tokens is not None and arguments.whole(self, "max_tokens", max_tokens, "10000") <= len(self.special()):
            raise ValueError(
                f"{kind} has max_tokens={max_tokens}, of which {len(self.special())} are special; make it more"
            )
        self.demand_dense(sparse=sparse)
        self.vocabulary = self.idf_weights = None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    def special(self):
        """What stands before the vocabulary."""
        mask = [self.mask_token] if self.mask_token is not None and self.output_mode == "int" else []
        return mask + [self.oov_token] * self.num_oov_indices

    def documents(self, data):
        """Lists of tokens."""
        raise NotImplementedError(f"{type(self).__name__} needs documents(self, data)")

    def token(self, value):
        """A token of the vocabulary as Python has it."""
        return value.decode(self.encoding) if isinstance(value, bytes) else str(value)

    def bucket(self, token):
        """A whole number: an unknown token takes the place that its remainder by `num_oov_indices` says."""
        return hash_of(self.salt, token)

    def adapt(self, data):
        """Take the vocabulary from data: the most frequent tokens; of equally frequent ones the last in order first.

        Args:
            data: an array or list, or an iterable of batches x or (x, ...), or a function that returns one.
        """
        counts, within, total = collections.Counter(), collections.Counter(), 0
        for batch in batches_of(data):
            for document in self.documents(batch):
                counts.update(document)
                within.update(set(document))
                total += 1
        for token in (self.mask_token, self.oov_token):
            counts.pop(token, None)
        tokens = sorted(sorted(counts, reverse=True), key=counts.__getitem__, reverse=True)
        tokens = tokens[: None if self.max_tokens is None else self.max_tokens - len(self.special())]
        weights = None
        if self.output_mode == "tf_idf":
            weights = log(1 + total / (1 + np.array([within[token] for token in tokens], np.float64))).tolist()
        self.set_vocabulary(tokens, weights)

    def set_vocabulary(self, vocabulary, idf_weights=None):
        """Set it: tokens, with or without the special ones in front, or the path of a file with one a line; of "tf_idf"
        with a weight for each."""
        if isinstance(vocabulary, (str, os.PathLike)):
            with open(vocabulary, encoding=self.encoding) as file:
                vocabulary = [self.token(line.rstrip("\n")) for line in file]
        kind, special = type(self).__name__, self.special()
        tokens = [self.token(token) for token in np.asarray(vocabulary).tolist()]
        weights = None if idf_weights is None else [float(weight) for weight in idf_weights]
        if (weights is None) == (self.output_mode == "tf_idf") or (weights and len(weights) != len(tokens)):
            raise ValueError(
                f'{kind}: idf_weights belong to output_mode="tf_idf", one for each of {len(tokens)} tokens, got '
                f"{None if weights is None else len(weights)} with output_mode={self.output_mode!r}"
            )
        if special and tokens[: len(special)] == special:
            tokens, weights = tokens[len(special) :], weights and weights[len(special) :]
        twice = [token for token, count in collections.Counter(tokens).items() if count > 1]
        if twice or not tokens or {self.mask_token, self.oov_token} & set(tokens):
            raise ValueError(
                f"{kind} needs a vocabulary of at least one token, each once, without {self.mask_token!r} and "
                f"{self.oov_token!r}, got {len(tokens)} tokens, {twice[:3] or tokens[:3]} among them; "
                "pass e.g. sorted(set(tokens))"
            )
        if self.max_tokens is not None and len(special) + len(tokens) > self.max_tokens:
            raise ValueError(
                f"{kind}: {len(tokens)} tokens and {len(special)} special ones are more than "
                f"max_tokens={self.max_tokens}; make it more, or pass vocabulary[:{self.max_tokens - len(special)}]"
            )
        self.vocabulary, self.idf_weights = tokens, weights
        self._number_of = {token: number for number, token in enumerate(tokens, len(special))}
        if self.mask_token is not None:
            self._number_of[self.mask_token] = 0 if self.output_mode == "int" else -1

    def get_vocabulary(self, include_special_tokens=True):
        """The tokens in the order of their numbers."""
        return (self.special() if include_special_tokens else []) + (self.vocabulary or [])

    def vocabulary_size(self):
        """How many there are, special ones too: the input_dim of an Embedding."""
        return len(self.get_vocabulary())

    def numbers_of(self, tokens):
        """int64, one a token of a list; −1 for the mask where it has no number."""
        if self.vocabulary is None:
            raise RuntimeError(f"{self.name} has no vocabulary; call adapt(data) first, or pass vocabulary=[...]")
        first, found = len(self.special()) - self.num_oov_indices, [self._number_of.get(token) for token in tokens]
        for i in [i for i, number in enumerate(found) if number is None]:
            if not self.num_oov_indices:
                raise ValueError(f"{self.name}: {tokens[i]!r} is not in the vocabulary; pass num_oov_indices=1")
            found[i] = first + self.bucket(tokens[i]) % self.num_oov_indices
        return np.array(found, np.int64)

    def depth(self):
        """How many places a row of "one_hot", "multi_hot", "count" or "tf_idf" has."""
        return self.max_tokens if self.pad_to_max_tokens else self.vocabulary_size()

    def bags(self, rows, ids, count, depth):
        """(count, depth) float32, times the weights where they are asked for; unknown tokens have their mean."""
        bags = super().bags(rows, ids, count, depth)
        if self.output_mode == "tf_idf":
            weights = np.array(self.idf_weights)
            weights = np.concatenate([np.full(self.num_oov_indices, weights.mean()), weights])
            bags[:, : len(weights)] *= weights
        return bags
