"""What all attention layers share: what is weighed, by whom, and the weights given back."""

import numbers

from npdl import random
from npdl.layers import masks, node, several
from npdl.layers.base import Layer


class Scoring(Layer):
    """A layer that averages values, weighted by P: how well a query and the keys fit.

    x is one array, which attends to itself, or a tuple (query, value) or (query, value, key); key is value where it is
    not given. A mask is like x, True where a place is no padding; or one array (N, T, S), of pairs of query and key.

    With `return_attention_scores` y is a pair (y, P), and both have gradients. The kernel never keeps P: it is made by
    the same kernel, as the average of the rows of a unit matrix, with the same masks, and so is its gradient.

    A subclass calls `keep_how`, sets `first` in `build`, the first axis that attends, the batch being 0, and writes
    `compared`. `factor` is what scores are multiplied by.
    """

    masks_pairs, factor = True, 1.0
    drops_scores = False  # whether the P that is given back has dropout in it

    def keep_how(self, dropout, seed, use_causal_mask, return_attention_scores):
        """Keep the arguments of these names.

        Raises:
            ValueError: a rate outside [0, 1).
        """
        if not isinstance(dropout, numbers.Real) or isinstance(dropout, bool) or not 0 <= dropout < 1:
            kind = type(self).__name__
            raise ValueError(f"{kind} needs dropout in [0, 1), got dropout={dropout!r}; pass e.g. dropout=0.1")
        self.dropout, self.seed = float(dropout), None if seed is None else random.check_seed(seed)
        self.use_causal_mask, self.return_attention_scores = bool(use_causal_mask), bool(return_attention_scores)

    def __call__(self, x, training=None, mask=None, *, return_attention_scores=False, use_causal_mask=None):
        """As of any layer. `return_attention_scores=True` adds P of inference to y, by hand: the pair (y, P), where
        `backward` takes dL/dy alone.

        Raises:
            TypeError: what only the layer itself can be told.
        """
        kind = type(self).__name__
        if use_causal_mask is not None and bool(use_causal_mask) != self.use_causal_mask:
            raise TypeError(
                f"{self.name}: the layer is told, not the call; make it {kind}(..., use_causal_mask={use_causal_mask})"
            )
        if not return_attention_scores or self.return_attention_scores:
            return super().__call__(x, training, mask)
        if node.is_symbolic(x):
            raise TypeError(
                f"{self.name}: a call on nodes gives what the layer was made for; make it {kind}(..., "
                "return_attention_scores=True), or ask a trained one on arrays: layer.attention_scores(x)"
            )
        return super().__call__(x, training, mask), self.attention_scores(x, mask)

    def attention_scores(self, x, mask=None):
        """P of a batch, as inference has it: (N, H, T, S), (N, T, S) of a layer without heads; of a layer inside a
        model x is e.g. `npdl.Model(model.inputs, layer.input).predict(...)`. What training has saved stays."""
        self.check(x)
        masks.check(self.name, mask, x, self.masks_pairs)
        query, _, key = self.query_value_key(x)
        return self.scores(*self.compared(query, key)[:2], self.how(x, mask), query, key)

    # ---- what a subclass uses

    def query_value_key(self, x):
        """The three of them."""
        query, value, *key = several.parts(x, 2)
        return query, value, key[0] if key else value

    def compared(self, query, key):
        """(queries, keys) as the kernel takes them, (samples, places, heads, size), and more that backward needs."""
        raise NotImplementedError(f"{type(self).__name__} needs compared(self, query, key)")

    def how(self, x, mask, varies=False):
        """Who may see whom and, where training varies, dropout: arguments of the kernel."""
        found = {"causal": self.use_causal_mask, **several.attention_masks(self, x, mask)}
        if self.dropout and varies:
            key = random.key(self.seed, "dropout") if self.seed is not None else self.random_key("dropout")
            found.update(rate=self.dropout, key=key, step=self.step)
            self.step += 1
        return found

    def shape_of_scores(self, query, key):
        """(N, H, T, S), from the shapes of arrays; T and S may be several axes, others may stand between N and H."""
        return (*query[: self.first], self.heads["query"], *query[self.first : -1], *key[self.first : -1])

    def scores(self, q, k, how, query, key):
        """P, of `shape_of_scores`."""
        p, kept = self.buffer("p of places", (*q.shape[:3], k.shape[1])), self._kept(how)
        self.k.attention(q, k, self.unit(*k.shape[:3]), self.factor, out=p, **kept)  # Σ P I
        out = self.buffer("p", (len(p), p.shape[2], p.shape[1], p.shape[3]))
        self.k.permute(p, (0, 2, 1, 3), out=out)
        return out.reshape(self.shape_of_scores(query.shape, key.shape))

    def add_scores_grad(self, dp, q, k, how, dq, dk):
        """dq and dk, plus what dL/dP gives; None is none."""
        if dp is None:
            return
        heads, unit = (len(q), q.shape[2], q.shape[1], k.shape[1]), self.unit(*k.shape[:3])
        dout = self.buffer("dp", (*q.shape[:3], k.shape[1]))
        self.k.permute(dp.reshape(heads), (0, 2, 1, 3), out=dout)
        more = {name: self.buffer(f"{name} of p", of.shape) for name, of in (("dq", q), ("dk", k), ("dv", unit))}
        self.k.attention_grad(dout, q, k, unit, self.factor, **more, **self._kept(how))
        self.k.add(dq, more["dq"], out=dq)
        self.k.add(dk, more["dk"], out=dk)

    def zeros_for(self, dy, shape):
        """dy, zeros where it is None."""
        if dy is None:
            self.k.fill(0.0, out=(dy := self.buffer("dy", shape)))
        return dy

    def unit(self, samples, places, heads=1):
        """A unit matrix (samples, S, G, S) for each head: S values of which an average shows its weights."""
        ones, lines = self.scratch("ones", (places, 1, 1)), self.scratch("lines", (places, places + 1, 1))
        self.k.fill(1.0, out=ones)
        self.k.pad(ones, ((0, places),), out=lines)  # ones a line and one place apart
        matrix = lines.reshape(lines.size)[: places * places].reshape(1, 1, places, 1, places)
        units = self.buffer("unit", (samples, places, heads, places))
        if samples:
            self.k.repeat(matrix, (samples, 1, heads), out=units.reshape(1, *units.shape))
        return units

    def _kept(self, how):
        """The arguments for P as it is given back."""
        dropped = () if self.drops_scores else ("rate", "key", "step")
        return {name: value for name, value in how.items() if name not in dropped}

    # ---- as of any layer

    def check(self, x, expected=None):
        several.check(self, x, super().check)

    def compute_mask(self, x, mask=None):
        """The mask of the query; none of the scores."""
        mask = mask[0] if isinstance(mask, (tuple, list)) else mask
        mask = mask if mask is None or len(mask.shape) == len(several.parts(x)[0].shape) - 1 else None
        return (mask, None) if self.return_attention_scores else mask
