"""Two objectives of ADBench, written once for every library whose names are NumPy's.

F. Šrajer, Z. Kukelova, A. Fitzgibbon, "A benchmark of selected algorithmic differentiation tools
on some problems in computer vision and machine learning", 2018, and the benchmark that goes with
it, Microsoft's ADBench, which later got the LSTM.

np_     the library: NumPy itself, torch or jax.numpy
b       how many bits encode a character, and the width of every layer
"""

from __future__ import annotations

import math

import numpy as np

# --- a mixture of Gaussians -------------------------------------------------------------------


def gmm(np_, gamma=1.0, m=0):
    """The function ``(alphas, means, icf, x) -> number``: how well a mixture explains points.

    alphas   (K,) logarithms of the components' weights, not normalized
    means    (K, d)
    icf      (K, d(d+1)/2) of each component's inverse covariance QᵀQ, Q lower triangular: the
             logarithm q of Q's diagonal, then column by column the entries l below it
    x        (n, d) points
    gamma    γ, m: the prior of each QᵀQ is Wishart's with d + m + 1 degrees of freedom and
             scale I/γ²

    That is, with C the logarithm of the prior's normalizing factor,

        Σᵢ logsumexpₖ(αₖ + Σqₖ - ½‖Qₖ(xᵢ - μₖ)‖²) - n logsumexp(α) - ½nd log 2π
            + Σₖ (½γ²(‖exp qₖ‖² + ‖lₖ‖²) - m Σqₖ - C)

    As published, the second line is minus the prior's logarithm: the sign of a density to be
    maximized would be the other one.
    """

    def objective(alphas, means, icf, x):
        d, n = means.shape[1], len(x)
        logs, below = icf[:, :d], icf[:, d:]
        diagonals, sums = np_.exp(logs), np_.sum(logs, 1)
        entries = np_.concatenate([diagonals, below, np_.zeros_like(logs[:, :1])], 1)
        q = entries[:, places(d)]
        scaled = (x - means[:, None]) @ q.swapaxes(1, 2)  # (K, n, d)
        scores = (alphas + sums)[:, None] - 0.5 * np_.sum(scaled**2, 2)
        likelihood = np_.sum(logsumexp(np_, scores)) - n * logsumexp(np_, alphas)
        squares = np_.sum(diagonals**2, 1) + np_.sum(below**2, 1)
        prior = np_.sum(0.5 * gamma**2 * squares - m * sums) - len(means) * normalizer(d, gamma, m)
        return likelihood - 0.5 * n * d * math.log(2 * math.pi) + prior

    return objective


def places(d):
    """(d, d): where the entries of Q lie in a row of `icf` with its diagonal no longer in
    logarithms, and a zero at its end.

    >>> places(3)
    array([[0, 6, 6],
           [3, 1, 6],
           [4, 5, 2]])
    """
    size = d * (d + 1) // 2
    found = np.full((d, d), size)
    np.fill_diagonal(found, np.arange(d))
    columns, rows = np.triu_indices(d, 1)  # below the diagonal, column by column
    found[rows, columns] = np.arange(d, size)
    return found


def logsumexp(np_, x):
    """log Σ exp x over the first axis."""
    top = np_.amax(x, 0)
    return np_.log(np_.sum(np_.exp(x - top), 0)) + top


def normalizer(d, gamma, m):
    """The logarithm of the factor in Wishart's density, of n = d + m + 1 degrees of freedom and
    scale I/γ²: nd log(γ/√2) - log Γ_d(n/2), with the multivariate gamma function.
    """
    n = d + m + 1
    log_gamma = d * (d - 1) / 4 * math.log(math.pi)
    log_gamma += sum(math.lgamma((n - j) / 2) for j in range(d))
    return n * d * math.log(gamma / math.sqrt(2)) - log_gamma


# --- an LSTM ----------------------------------------------------------------------------------


def lstm(np_, scan=None):
    """The function ``(main, extra, state, sequence) -> number``: the loss of an LSTM that predicts
    each next character.  Its weight matrices are diagonal.

    main       (L, 2, 4, b) of each layer the weights and the biases, for the gates forget, in,
               out, and for the change of the cell
    extra      (3, b) weights of the input, and weights and biases of the output
    state      (L, 2, b) of each layer hidden values and cells at the start
    sequence   (c, b) the bits of each character
    scan       how to walk along the sequence, as jax.lax.scan; else by a Python loop

    As published, the exponentials in the loss are summed to 2: y - log(2 + Σ exp y).
    """
    scan = scan or looped(np_)

    def objective(main, extra, state, sequence):
        def step(states, x):
            following = []
            for (weights, biases), (hidden, cell) in zip(main, states, strict=True):
                gates = np_.stack([x, hidden, x, hidden]) * weights + biases
                forget, ingate, outgate = 1 / (1 + np_.exp(-gates[:3]))
                cell = cell * forget + ingate * np_.tanh(gates[3])
                x = outgate * np_.tanh(cell)
                following.append((x, cell))
            return following, x

        into, out, bias = extra
        states = [(hidden, cell) for hidden, cell in state]
        _, last = scan(step, states, sequence[:-1] * into)
        y = last * out + bias
        log_p = y - np_.log(2 + np_.sum(np_.exp(y), 1))[:, None]
        return -np_.mean(sequence[1:] * log_p)

    return objective


def looped(np_):
    """jax.lax.scan as a loop: ``(carry, x) -> (carry, y)`` along the first axis, the ys stacked."""

    def scan(step, carry, xs):
        ys = []
        for x in xs:
            carry, y = step(carry, x)
            ys.append(y)
        return carry, np_.stack(ys)

    return scan
