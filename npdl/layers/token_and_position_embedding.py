"""TokenAndPositionEmbedding: a vector for each token, and one for the place where it stands."""

from npdl.layers import arguments
from npdl.layers.embedding import Embedding


class TokenAndPositionEmbedding(Embedding):
    """The sum of two learnt vectors: that of the token, and that of its place in the sequence.

        forward     y[n, t] = E[x[n, t]] + P[t]
        backward    dE[v] = Σ dy[n, t] over the places where x[n, t] = v;       dP[t] = Σ dy[n, t] over the batch

    Shapes: x (N, T), int32 or int64, T ≤ L · token_embedding/embeddings E (V, D) · position_embedding/embeddings P
    (L, D) · y (N, T, D).
    Saves: x.

    Args:
        vocabulary_size: number of different tokens V: 0 ... V − 1.
        sequence_length: L, the longest sequence.
        embedding_dim: length of a vector D.
        tie_weights: True; KerasHub's layer can also be run backwards, from vectors to tokens, and would then do so with
            weights of its own: here that is a Dense layer, layers.Dense(V, use_bias=False).
        embeddings_initializer: name or `npdl.initializers` object, of both.
        embeddings_regularizer, embeddings_constraint: name or object, of both; activity_regularizer: of y.
        mask_zero: whether the token 0 is padding: later layers, loss and metrics then leave those places out.

    Raises:
        ValueError: sizes below 1, tie_weights=False, samples of another form, longer sequences.
        IndexError: a token outside 0 ... V − 1.
        TypeError: x are no whole numbers.

    In Keras it is `keras_hub.layers.TokenAndPositionEmbedding`.

    >>> TokenAndPositionEmbedding(1000, 64, 16).init(input_shape=(10,), seed=0).output_shape
    (10, 16)
    """

    counted = "vocabulary_size"

    def __init__(
        self, vocabulary_size, sequence_length, embedding_dim, tie_weights=True, embeddings_initializer="uniform",
        mask_zero=False, **base,
    ):  # fmt: skip
        example = "TokenAndPositionEmbedding(vocabulary_size=1000, sequence_length=64, embedding_dim=32)"
        sizes = {"vocabulary_size": vocabulary_size, "embedding_dim": embedding_dim, "sequence_length": sequence_length}
        sizes = {name: arguments.whole(self, name, size, example) for name, size in sizes.items()}
        super().__init__(vocabulary_size, embedding_dim, embeddings_initializer, mask_zero=mask_zero, **base)
        vars(self).update(sizes)
        if not tie_weights:
            raise ValueError(
                "TokenAndPositionEmbedding has no way back from vectors to tokens, got tie_weights=False; leave it "
                f"out, and end the model with layers.Dense({vocabulary_size}, use_bias=False)"
            )
        self.tie_weights = True

    def build(self, input_shape):
        if len(input_shape) != 1:
            raise ValueError(
                f"{self.name}: TokenAndPositionEmbedding reads sequences of tokens, samples of shape (places,), got "
                f"{tuple(input_shape)}; pass one token a place, x of shape (N, T)"
            )
        self._demand(input_shape[0] or 1)
        for part, size in (("token", self.vocabulary_size), ("position", self.sequence_length)):
            shape, name = (size, self.embedding_dim), f"{part}_embedding/embeddings"
            self.add_weight(shape, self.embeddings_initializer, name=name)
        return (*input_shape, self.embedding_dim)

    def _demand(self, places):
        if places > self.sequence_length:
            raise ValueError(
                f"{self.name} has sequence_length={self.sequence_length}, got a sequence of {places} places; "
                "pass shorter ones, or make sequence_length the longest"
            )

    def vectors(self, x, out):
        self._demand(x.shape[1])
        self.k.embedding(x, self.params["token_embedding/embeddings"], out=out)
        self.k.add_positions(out, self.params["position_embedding/embeddings"][0 : x.shape[1]], out=out)

    def vectors_grad(self, dy, x):
        samples, places, width = dy.shape
        dP = self.grads["position_embedding/embeddings"]
        self.k.embedding_grad(dy, x, out=self.grads["token_embedding/embeddings"])
        total = dP[0:places].reshape((places * width,))
        self.k.sum_rows(dy.reshape((samples, places * width)), out=total)  # dP = Σ dy
        rest = dP[places : len(dP)]
        self.k.add_positions(None, None, out=rest.reshape((1, *rest.shape)))
