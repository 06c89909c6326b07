"""SpectralNormalization: a layer whose kernel has a largest singular value of 1."""

from npdl import initializers
from npdl.layers import arguments
from npdl.layers.reparametrizing import Reparametrizing


class SpectralNormalization(Reparametrizing):
    """A layer with the kernel W / σ, where σ is the largest singular value of W: no direction of x comes out longer
    than it went in.

        forward     v = u Wᵀ / ‖u Wᵀ‖       u = v W / ‖v W‖         power_iterations times, in training
                    σ = v W uᵀ              W̄ = W / σ               y = f(x; W̄)
        backward    dx, dW̄ = ∂fᵀ dy         dW = (dW̄ − (Σ dW̄ W̄) vᵀ u) / σ

    u and v are constants in backward, as in Keras and in PyTorch's spectral_norm: where they are the singular vectors
    of σ, ∂σ/∂u and ∂σ/∂v are 0 along all directions that keep their length, so that dW is exact once u has converged.
    σ itself is differentiated, ∂σ/∂W = vᵀ u.

    What is learnt is W, as in PyTorch. Keras writes W̄ over W in each training forward, and so its dW is dW̄. Outside of
    training u stays as it is, v is made from it, and y is of W̄ as ever. (Keras takes the kernel as it is then, PyTorch
    the v of the last training forward.) A kernel of zeros stays one, with σ = 1, and u as it is. Regularizers and
    constraints of the layer are of W.

    Shapes: x, y as of the layer · W (R, C), a kernel (..., C) with all axes but the last made one · v (1, R) ·
    vector_u u (1, C), not trained, and before the layer's weights.
    Saves: W̄, u, v and 1/σ; the layer inside saves its own.

    Args:
        layer: f, with a `kernel`, as `Dense` and convolutions have it, or `embeddings`.
        power_iterations: how often u comes nearer to the singular vector in one forward.

    Raises:
        ValueError: power_iterations below 1; a layer without such a weight.

    Reference: Miyato et al., Spectral Normalization for Generative Adversarial Networks, 2018.

    >>> from npdl.layers import Conv2D
    >>> SpectralNormalization(Conv2D(8, 3)).init(input_shape=(28, 28, 1), seed=0).output_shape
    (26, 26, 8)
    """

    def __init__(self, layer, power_iterations=1, **base):
        super().__init__(layer, **base)
        example = "SpectralNormalization(layers.Dense(64), power_iterations=1)"
        self.power_iterations = arguments.whole(self, "power_iterations", power_iterations, example)

    def declare(self):
        first = initializers.TruncatedNormal(stddev=0.02)
        self.add_weight((1, self.shape[-1]), first, name="vector_u", trainable=False)

    def made(self, W, training, out):
        W, out = matrix(W), matrix(out)
        u, v = self.state["vector_u"], self.buffer("v", (1, len(W)))
        inverse, one = self.buffer("inverse", (1,)), self.buffer("one", (1, 1))
        self._along(u, W, v, inverse, transpose_b=True)  # of the u that there is, σ = ‖u Wᵀ‖
        if self.varies(training):
            new = self.buffer("u", u.shape)
            for again in range(self.power_iterations):
                if again:
                    self._along(new, W, v, inverse, transpose_b=True)
                self._along(v, W, new, inverse)  # σ = ‖v W‖
            found = self._found(new)
            self.k.choose(found, new, u, out=u)
        elif training:
            self.k.copy(u, out=(new := self.buffer("u", u.shape)))  # a forward in between may change the state
            found = self._found(v)
        else:
            new, found = u, self._found(v)
        inverse = inverse.reshape(1, 1)
        self.k.fill(1.0, out=one)
        self.k.choose(found, inverse, one, out=inverse)
        self.k.matmul(inverse, W.reshape(1, W.size), out=out.reshape(1, W.size))  # W̄ = W / σ
        return new, v, inverse

    def _along(self, a, W, out, inverse, **order):
        """out = a W / ‖a W‖, inverse = 1 / ‖a W‖"""
        self.k.matmul(a, W, out=out, **order)
        self.k.unit_norm(out, out=out, inverse=inverse)

    def _found(self, vector):
        """Whether it has a direction."""
        found = self.buffer("found", (1,), "bool")
        self.k.masking(vector, 0.0, out=found)
        return found

    def made_grad(self, dW, W, kept):
        dW, W, (u, v, inverse) = matrix(dW), matrix(W), kept
        size, along = self.scratch("size", (1, 1)), self.scratch("along", v.shape)
        part = self.buffer("part", dW.shape)
        self.k.matmul(dW.reshape(1, dW.size), W.reshape(W.size, 1), out=size)  # Σ dW̄ W̄
        self.k.matmul(size, v, out=along)
        self.k.matmul(along, u, out=part, transpose_a=True)
        self.k.subtract(dW, part, out=part)
        self.k.matmul(inverse, part.reshape(1, dW.size), out=dW.reshape(1, dW.size))  # dW


def matrix(W):
    """A kernel (..., C) as (R, C)."""
    return W.reshape(W.size // W.shape[-1], W.shape[-1])
