"""Attention: means of values, weighted by how well queries and keys agree (beyond the lectures).

Vaswani et al. 2017.  L queries and S keys with their values; E features, N examples.
"""

import math

import numpy as np

from autograd import softmax
from autograd.payload import real
from autograd.primitive import like, plain, telling
from autograd.rules.random import generator_or_default

from .checks import check_dtype, check_flag, check_positive, check_probability
from .functional import dropout, linear
from .layers import Linear
from .module import Module, Parameter


@telling
def scaled_dot_product_attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, generator=None
):
    """``softmax(query @ keyᵀ · scale) @ value``, of (..., L, E), (..., S, E), (..., S, V).

    attn_mask   which keys a query sees, broadcast to (..., L, S): booleans, or numbers that are
                added to the scores, -inf for one it does not see
    dropout_p   with what probability each weight is dropped, whether training or not
    is_causal   a query sees no later keys than its own place
    scale       1/√E if None

    A query that sees no key has the result 0.  Raises ValueError for shapes that do not fit.
    """
    return attended(query, key, value, attn_mask, dropout_p, is_causal, scale, generator)[0]


def attended(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, generator=None
):
    """The result of `scaled_dot_product_attention`, and its weights (..., L, S)."""
    query, key, value = (real("attention", a) for a in (query, key, value))
    q, k, v = (tuple(np.shape(a)) for a in (query, key, value))
    if min(map(len, (q, k, v))) < 2 or q[-1] != k[-1] or k[-2] != v[-2] or not _alike(q, k, v):
        raise ValueError(
            f"attention: query (..., L, E), key (..., S, E) and value (..., S, V) wanted, got the "
            f"shapes {q}, {k} and {v}"
        )
    scores = (query @ np.swapaxes(key, -1, -2)) * (1 / math.sqrt(q[-1]) if scale is None else scale)
    seen, added = _seen(attn_mask, is_causal, scores)
    if added is not None:
        scores = scores + added.astype(scores.dtype)
    if seen is None:
        weights = softmax(scores, axis=-1)
    else:
        # the lowest number and not -inf, for which a query that sees nothing would give NaN
        lowest = float(np.finfo(scores.dtype).min)
        weights = softmax(np.where(seen, scores, lowest), axis=-1)
        weights = np.where(seen, weights, 0.0)
    if dropout_p:
        weights = dropout(weights, dropout_p, generator)
    return weights @ value, weights


def _alike(*shapes):
    """Whether what stands before the last two axes broadcasts."""
    try:
        np.broadcast_shapes(*(shape[:-2] for shape in shapes))
    except ValueError:
        return False
    return True


def _mask(mask):
    """A mask as an array of any type; TypeError unless it is of booleans or floats."""
    mask = mask if hasattr(mask, "dtype") else np.asarray(mask)
    if mask.dtype.kind not in "bf":
        raise TypeError(f"attention: a mask is of booleans or floats, not {mask.dtype}")
    return mask


def _seen(mask, is_causal, scores):
    """Which keys are seen, and what is added to the scores; None for all, and for nothing."""
    beside, scores = like(scores), tuple(np.shape(scores))
    seen = np.tri(*scores[-2:], dtype=bool, like=beside) if is_causal else None
    if mask is None:
        return seen, None
    mask = _mask(mask)
    shape = tuple(mask.shape)
    try:
        fits = np.broadcast_shapes(shape, scores)[-2:] == scores[-2:]
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"attention: a mask that broadcasts to {scores} wanted, got {shape}")
    if mask.dtype == bool:
        return (mask if seen is None else mask & seen), None
    finite = mask > -np.inf
    if not np.all(plain(finite)):
        seen, mask = finite if seen is None else finite & seen, np.where(finite, mask, 0.0)
    return seen, mask


class MultiheadAttention(Module):
    """Attention of `num_heads` heads, each on its own E/num_heads features of three linear maps.

    x and results are (L, N, E), or (N, L, E) with ``batch_first=True``, or (L, E) for one
    example.  Parameters are PyTorch's: in_proj_weight (3E, E), the maps of queries, keys and
    values one below the other, in_proj_bias (3E,), out_proj.weight (E, E) and out_proj.bias.
    They start as there: Glorot uniform, out_proj uniform in ±1/√E, biases zero.

    dropout   with what probability each weight is dropped while training
    """

    def __init__(
        self, embed_dim, num_heads, dropout=0.0, bias=True, batch_first=False, dtype=np.float32,
        generator=None,
    ):  # fmt: skip
        check_positive("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: num_heads divides embed_dim, got {num_heads} and {embed_dim}"
            )
        check_probability("MultiheadAttention", dropout=dropout)
        check_flag("MultiheadAttention", bias=bias, batch_first=batch_first)
        dtype = check_dtype("MultiheadAttention", dtype)
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.batch_first, self.generator = batch_first, generator
        bound = math.sqrt(6 / (4 * embed_dim))
        draw = generator_or_default(generator).uniform(-bound, bound, (3 * embed_dim, embed_dim))
        self.in_proj_weight = Parameter(draw.astype(dtype))
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim, dtype)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, dtype, generator)
        if bias:
            self.out_proj.bias.data = np.zeros(embed_dim, dtype)

    def forward(
        self, query, key=None, value=None, key_padding_mask=None, need_weights=True,
        attn_mask=None, average_attn_weights=True, is_causal=False,
    ):  # fmt: skip
        """``(result, weights)``: weights (N, L, S), the heads' mean, or each head's (N, H, L, S).

        key, value             query and key, if None
        key_padding_mask       booleans (N, S): True for a key that no query sees
        attn_mask              booleans (L, S), (N, L, S) or (N, H, L, S), True for a key that is
                               not seen (as in PyTorch's module, and unlike
                               `scaled_dot_product_attention`), or numbers added to the scores
        need_weights           without, the weights are None
        average_attn_weights   whether the heads' weights are averaged
        is_causal              a query sees no later keys than its own place

        Raises ValueError for x of other shapes.
        """
        query = real("MultiheadAttention", query)
        key = query if key is None else real("MultiheadAttention", key)
        value = key if value is None else real("MultiheadAttention", value)
        single = len(np.shape(query)) == 2
        parts = [self._with_examples(a, single) for a in (query, key, value)]
        (n, length, _), (_, keys, _) = (np.shape(a) for a in parts[:2])
        if any(np.shape(a)[:2] != (n, keys) for a in parts[1:]):
            raise ValueError(
                f"MultiheadAttention: as many keys as values, and of as many examples as the "
                f"queries, wanted; as (N, L, E) they are {[tuple(np.shape(a)) for a in parts]}"
            )
        weight, bias = self.in_proj_weight, self.in_proj_bias
        heads = []
        for i, part in enumerate(parts):
            rows = slice(i * self.embed_dim, (i + 1) * self.embed_dim)
            part = linear(part, weight[rows], None if bias is None else bias[rows])
            part = part.reshape((*part.shape[:2], self.num_heads, self.embed_dim // self.num_heads))
            heads.append(np.swapaxes(part, 1, 2))
        mask = self._mask(attn_mask, key_padding_mask, n, length, keys, single)
        p = self.dropout if self.training else 0.0
        y, weights = attended(*heads, mask, p, is_causal, generator=self.generator)
        y = self.out_proj(np.swapaxes(y, 1, 2).reshape((n, length, self.embed_dim)))
        y = y[0] if single else y if self.batch_first else np.swapaxes(y, 0, 1)
        if not need_weights:
            return y, None
        weights = np.mean(weights, axis=1) if average_attn_weights else weights
        return y, weights[0] if single else weights

    def _with_examples(self, x, single):
        """x as (N, L, E)."""
        shape = tuple(np.shape(x))
        if len(shape) != 3 - single or shape[-1] != self.embed_dim:
            axes = "(N, L, E)" if self.batch_first else "(L, N, E)"
            raise ValueError(
                f"MultiheadAttention({self.embed_dim}, {self.num_heads}): query, key and value of "
                f"shape {axes}, or all (L, E), with E = {self.embed_dim} wanted, got {shape}"
            )
        if single:
            return x[None]
        return x if self.batch_first else np.swapaxes(x, 0, 1)

    def _mask(self, attn_mask, padding, n, length, keys, single):
        """What `attended` takes for both masks, broadcasting to (N, H, L, S)."""
        mask = None
        if attn_mask is not None:
            mask = _mask(attn_mask)
            if tuple(mask.shape) not in (
                (length, keys), (n, length, keys), (n, self.num_heads, length, keys)
            ):  # fmt: skip
                raise ValueError(
                    f"MultiheadAttention: attn_mask (L, S), (N, L, S) or (N, H, L, S) wanted, with "
                    f"(N, L, S) = {(n, length, keys)}, got {mask.shape}"
                )
            mask = mask[:, None] if mask.ndim == 3 else mask
            mask = ~mask if mask.dtype == bool else mask
        if padding is None:
            return mask
        padding = padding if hasattr(padding, "dtype") else np.asarray(padding)
        if padding.dtype != bool or padding.shape != ((keys,) if single else (n, keys)):
            raise ValueError(
                f"MultiheadAttention: key_padding_mask, booleans (N, S) = {(n, keys)}, wanted; got "
                f"{padding.dtype} {padding.shape}"
            )
        seen = ~padding.reshape((n, 1, 1, keys))
        if mask is None:
            return seen
        return mask & seen if mask.dtype == bool else np.where(seen, mask, -np.inf)

    def extra_repr(self):
        """Sizes, and what is not the default."""
        said = [f"{self.embed_dim}, {self.num_heads}"]
        said += self._unusual(dropout=0.0, batch_first=False)
        return ", ".join(said + ["bias=False"] * (self.in_proj_bias is None))
