"""Samples of nn's fused operations and of random draws."""

import numpy as np

from autograd.rules.random import bernoulli, normal, uniform
from nn.activations import (
    elu,
    gelu,
    leaky_relu,
    maxout,
    mish,
    normal_cdf,
    prelu,
    silu,
    sinc,
    softsign,
    step,
)
from nn.functional import batch_norm, dropout, linear
from nn.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    clamped_log,
    cross_entropy,
    half_squared_error,
    hinge,
    huber,
    kl_div,
    kl_divergence,
    mae,
    mse,
    multi_margin,
    nll,
    sparsity_kl,
)

from .make import fixed, integers, positive, real, sample, unit


def seeded():
    """A fresh generator, the same for every call of a sample: every call draws the same."""
    return np.random.default_rng(0)


LABELS = integers(0, 3, 4)
CLASSES = np.array([0.5, 2.0, 1.25])
# like PyTorch's eps, but large enough to be seen at the tests' tolerances
EPS = fixed(1e-2)

SAMPLES = [
    sample(linear, real(4), real(2, 4), real(2)),
    sample(linear, real(4), real(2, 4), None),
    sample(linear, real(3, 4), real(2, 4), real(2)),
    sample(linear, real(3, 4), real(2, 4), None),
    sample(linear, real(2, 3, 4), real(2, 4), real(2)),
    sample(linear, real(2, 3, 4), real(2, 4), None),
    sample(linear, real(2, 1, 2, 3), real(4, 3), real(4)),
    sample(linear, fixed(real(3, 4)), real(2, 4), real(2)),
    sample(linear, real(3, 4), fixed(real(2, 4)), real(2)),
    sample(linear, real(3, 4), real(2, 4), fixed(real(2))),
    sample(linear, real(0, 4), real(2, 4), real(2)),
    sample(batch_norm, real(5, 3), positive(3), real(3), axes=(0,), eps=EPS),
    sample(batch_norm, real(4, 3, 2), positive(3, 1), real(3, 1), axes=(0, 2), eps=EPS),
    sample(batch_norm, real(2, 3), real(3), real(3), axes=(0,), eps=EPS),
    sample(batch_norm, fixed(real(5, 3)), positive(3), real(3), axes=(0,), eps=EPS),
    sample(batch_norm, real(5, 3), fixed(positive(3)), fixed(real(3)), axes=(0,), eps=EPS),
    sample(lambda x: dropout(x, 0.4, generator=seeded()), real(3, 5)).but(name="dropout"),
    sample(lambda x: dropout(x, 1.0, generator=seeded()), real(3, 5)).but(name="dropout all"),
    sample(lambda x: dropout(x, 0.0, generator=seeded()), real(3, 5)).but(name="dropout none"),
    sample(lambda x: dropout(x, 0.4, generator=seeded()), 0.7).but(name="dropout of a number"),
    *(
        sample(f, real(3, 4))
        for f in (step, leaky_relu, elu, softsign, silu, sinc, mish, normal_cdf, gelu)
    ),
    *(sample(f, 0.7) for f in (softsign, normal_cdf)),
    sample(gelu, real(3, 4), approximate="tanh"),
    sample(prelu, real(2, 3, 2), positive(3)),
    sample(maxout, real(2, 6), 3),
    sample(cross_entropy, real(4, 3), LABELS),
    sample(cross_entropy, real(4, 3), LABELS, reduction="sum"),
    sample(cross_entropy, real(4, 3), LABELS, reduction="none"),
    sample(cross_entropy, 20 * real(4, 3), LABELS),
    sample(cross_entropy, real(1, 1), integers(0, 1, 1)),
    sample(cross_entropy, real(4, 3), LABELS, weight=fixed(CLASSES), label_smoothing=fixed(0.1)),
    sample(cross_entropy, real(4, 3), LABELS, ignore_index=0),
    sample(cross_entropy, real(2, 3, 4), integers(0, 3, 2, 4), weight=fixed(CLASSES)),
    sample(cross_entropy, real(4, 3), unit(4, 3) ** 2),
    sample(cross_entropy, real(2, 3, 4), fixed(unit(2, 3, 4) ** 2), weight=fixed(CLASSES)),
    sample(nll, real(4, 3), LABELS, weight=fixed(CLASSES)),
    sample(multi_margin, real(4, 3), LABELS),
    *(sample(f, real(2, 3), real(2, 3)) for f in (mse, half_squared_error, mae, huber, kl_div)),
    sample(hinge, real(4), fixed(np.array([1.0, -1.0, -1.0, 1.0]))),
    sample(binary_cross_entropy, positive(4) / 2, unit(4) ** 2),
    sample(binary_cross_entropy_with_logits, real(4), unit(4) ** 2, pos_weight=fixed(2.0)),
    sample(clamped_log, positive(4)),
    sample(clamped_log, 0.3),
    sample(kl_div, real(2, 3), real(2, 3), log_target=True),
    sample(kl_divergence, positive(2, 3), positive(2, 3)),
    sample(sparsity_kl, positive(4, 2) / 2),
    sample(lambda x: x * uniform(x, low=-1.0, high=2.0, generator=seeded()), real(3, 2)).but(
        name="uniform", covers=(uniform,)
    ),
    sample(lambda x: x * normal(x, mean=1.0, std=2.0, generator=seeded()), real(3, 2)).but(
        name="normal", covers=(normal,)
    ),
    sample(lambda x: x * bernoulli(x, p=0.5, generator=seeded()), real(3, 2)).but(
        name="bernoulli", covers=(bernoulli,)
    ),
    sample(lambda x: uniform(x, generator=seeded()), real(4)).but(name="draw"),
    sample(lambda x: normal(x, generator=seeded()), 0.3).but(name="draw a number"),
]
