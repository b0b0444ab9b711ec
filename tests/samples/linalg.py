"""Samples of linear algebra: products, and np.linalg."""

import numpy as np

from autograd.rules.linalg import cofactors, cofactors_along

from .make import fixed, positive, real, sample, spd

inf = np.inf


def regular(*shape):
    """A well-conditioned matrix, or a stack, without symmetry."""
    return real(*shape) / 2 + 2 * np.eye(*shape[-2:])


def stacked(make, *sizes):
    return np.stack([make(*sizes), make(*sizes)])


PRODUCTS = [
    *(
        sample(np.matmul, real(*a), real(*b))
        for a, b in [
            ((3,), (3,)), ((3,), (3, 4)), ((2, 3), (3,)), ((2, 3), (3, 4)), ((2, 2, 3), (3,)),
            ((3,), (2, 3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)),
            ((1, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((2, 0), (0, 3)), ((0, 3), (3, 2)),
        ]
    ),
    sample(np.matmul, real(2, 3), fixed(real(3, 2))),
    sample(np.matmul, fixed(real(2, 3)), real(3, 2)),
    *(
        sample(np.dot, real(*a), real(*b))
        for a, b in [
            ((), (3,)), ((2, 3), ()), ((), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)),
            ((2, 3), (3, 4)), ((2, 2, 3), (3, 4)), ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)),
            ((3,), (2, 3, 2)),
        ]
    ),
    *(
        sample(np.inner, real(*a), real(*b))
        for a, b in [
            ((), (3,)), ((2, 3), ()), ((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)),
            ((2, 3), (4, 3)), ((2, 2, 3), (2, 1, 3)),
        ]
    ),
    *(sample(np.vdot, real(*a), real(*b)) for a, b in [((3,), (3,)), ((2, 3), (6,)), ((), ())]),
    *(
        sample(np.outer, real(*a), real(*b))
        for a, b in [((3,), (2,)), ((2, 2), (3,)), ((), (3,)), ((3,), ())]
    ),
    sample(np.vecdot, real(3), real(3)),
    sample(np.vecdot, real(2, 3), real(2, 3)),
    sample(np.vecdot, real(2, 1, 3), real(4, 3)),
    *(
        sample(np.kron, real(*a), real(*b))
        for a, b in [
            ((2, 3), (3, 2)), ((2,), (3,)), ((2,), (2, 3)), ((2, 1, 2), (2, 2)), ((), (2, 2)),
        ]
    ),
    sample(np.cross, real(3), real(3)),
    sample(np.cross, real(2, 3), real(3)),
    sample(np.cross, real(3, 2), real(2, 3), axisa=0),
    sample(np.cross, real(3, 4), real(4, 3), axisa=0, axisb=1, axisc=0),
    sample(np.cross, real(2, 3, 2), real(2, 3, 2), axis=1),
    sample(np.linalg.cross, real(2, 3), real(2, 3)),
    sample(np.linalg.cross, real(3, 2), real(3, 2), axis=0),
    sample(np.linalg.multi_dot, [real(2, 3), real(3, 4)]),
    sample(np.linalg.multi_dot, [real(2, 3), real(3, 4), real(4, 1)]),
    sample(np.linalg.multi_dot, [real(3), real(3, 4), real(4, 2), real(2)]),
    sample(np.linalg.multi_dot, [real(3), real(3, 4), real(4, 2)]),
    sample(np.linalg.multi_dot, [real(1, 3), real(3, 4), real(4, 2), real(2, 3)]),
    sample(np.linalg.matmul, real(2, 3), real(3, 2)),
    sample(np.linalg.tensordot, real(2, 3), real(3, 2), axes=1),
    sample(np.linalg.vecdot, real(3, 2), real(3, 2), axis=0),
    sample(np.linalg.vecdot, real(2, 3), real(3)),
    sample(np.linalg.outer, real(2), real(3)),
    sample(np.linalg.matrix_transpose, real(2, 3, 4)),
    sample(np.linalg.diagonal, real(2, 3, 4), offset=1),
    sample(np.linalg.trace, real(2, 3, 4), offset=-1),
    sample(np.linalg.trace, real(3, 3)),
]  # fmt: skip

if hasattr(np, "matvec"):  # since NumPy 2.2
    PRODUCTS += [
        sample(np.matvec, real(2, 3), real(3)),
        sample(np.matvec, real(2, 3), real(4, 3)),
        sample(np.matvec, real(4, 2, 3), real(4, 3)),
        sample(np.vecmat, real(2), real(2, 3)),
        sample(np.vecmat, real(4, 2), real(2, 3)),
        sample(np.vecmat, real(2), real(4, 2, 3)),
    ]

TENSORDOT = [
    sample(np.tensordot, real(*a), real(*b), axes=axes)
    for a, b, axes in [
        ((2, 3), (3, 4), 1), ((2, 3, 4), (3, 4, 2), 2), ((2, 3), (2, 2), 0), ((2, 3), (2, 3), 2),
        ((2, 3, 4), (4, 3, 2), ([1, 2], [1, 0])), ((2, 3, 4), (4, 3, 2), ([2, 1], [0, 1])),
        ((2, 3, 4), (4, 2, 3), ((-1, 0), (0, -2))), ((2, 3), (4, 3), (1, 1)), ((3,), (3,), 1),
        ((2, 3), (4, 5), ([], [])), ((2, 3, 2), (3,), ([1], [0])),
    ]
]  # fmt: skip

EINSUM = [
    sample(np.einsum, subscripts, *(real(*s) for s in shapes))
    for subscripts, *shapes in [
        ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("kj,ji", (4, 3), (3, 2)),
        ("i,i", (3,), (3,)), ("i,j->ji", (3,), (2,)), ("ij->ji", (2, 3)), ("ba", (2, 3)),
        ("aB", (2, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)),
        ("iij->j", (2, 2, 3)), ("iji->j", (2, 3, 2)), ("iii->i", (2, 2, 2)),
        ("iijj->", (2, 2, 3, 3)), ("ii,i->i", (3, 3), (3,)), ("ii,jj", (2, 2), (3, 3)),
        ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)),
        ("ij,ij,j->i", (2, 3), (2, 3), (3,)), ("ij,kl->i", (2, 3), (2, 2)),
        ("...ij,...jk->...ik", (2, 2, 3), (3, 2)), ("...i,...i", (2, 3), (3,)),
        ("i...,i...->...", (3, 2), (3, 2)), ("...ii->...i", (2, 3, 3)), ("...", (2, 3)),
        ("i...,...j", (2, 3), (3, 2)), ("...i,j...->ij...", (2, 3), (2, 1)),
        ("bqhd,bkhd->bhqk", (2, 2, 2, 3), (2, 3, 2, 3)), ("ij,ij->ij", (1, 3), (2, 3)),
        ("ij,jk->ik", (2, 1), (3, 2)), ("ij,jk->ik", (2, 3), (1, 2)), (",i->i", (), (3,)),
        (" i j , j k -> i k ", (2, 3), (3, 2)), ("i,ij,j->", (2,), (2, 3), (3,)),
    ]
]  # fmt: skip
EINSUM += [
    sample(np.einsum, "ij,jk,kl->il", real(2, 3), real(3, 4), real(4, 2), optimize=True),
    sample(np.einsum, "ij,jk,kl->il", real(2, 3), real(3, 4), real(4, 2), optimize="optimal"),
    sample(
        np.einsum, "ij,jk,kl->il", real(2, 3), real(3, 4), real(4, 2),
        optimize=["einsum_path", (0, 1), (0, 1)],
    ),
    sample(np.einsum, real(2, 3), [0, 1], real(3, 4), [1, 2], [2, 0]),
    sample(np.einsum, real(2, 3), [0, 1], real(3, 4), [1, 2]),
    sample(np.einsum, real(2, 3), [27, 0], real(3), [0]),
    sample(np.einsum, real(2, 3, 4), [Ellipsis, 1], real(4), [1], [Ellipsis]),
    sample(np.einsum, real(3, 3), [5, 5], [5]),
    sample(np.einsum, "ij,jk->ik", fixed(real(2, 3)), real(3, 2)),
    sample(np.einsum_path, "ij,jk->ik", real(2, 3), real(3, 2)),
]  # fmt: skip

SOLVING = [
    sample(np.linalg.inv, regular(3, 3)),
    sample(np.linalg.inv, regular(2, 3, 3)),
    sample(np.linalg.solve, regular(3, 3), real(3)),
    sample(np.linalg.solve, regular(3, 3), real(3, 2)),
    sample(np.linalg.solve, regular(2, 3, 3), real(3)),
    sample(np.linalg.solve, regular(2, 3, 3), real(3, 2)),
    sample(np.linalg.solve, regular(2, 3, 3), real(2, 3, 1)),
    sample(np.linalg.solve, regular(3, 3), real(2, 3, 2)),
    sample(np.linalg.solve, regular(3, 3), fixed(real(3))),
    sample(np.linalg.tensorinv, regular(6, 6).reshape(2, 3, 6), ind=2),
    sample(np.linalg.tensorinv, regular(6, 6).reshape(6, 2, 3), ind=1),
    sample(np.linalg.tensorsolve, regular(6, 6).reshape(2, 3, 3, 2), real(2, 3)),
    sample(np.linalg.tensorsolve, regular(6, 6).reshape(2, 6, 3), real(2, 3), axes=(1,)).but(
        name="tensorsolve axes"
    ),
    *(sample(np.linalg.matrix_power, regular(3, 3), n) for n in (0, 1, 2, 3, 5, -1, -2)),
    sample(np.linalg.matrix_power, regular(2, 3, 3), 3),
    sample(np.linalg.pinv, real(4, 3)),
    sample(np.linalg.pinv, real(2, 3)),
    sample(np.linalg.pinv, real(2, 4, 3), rcond=fixed(1e-12)),
    sample(np.linalg.pinv, spd(3), hermitian=True),
    sample(np.linalg.pinv, real(3, 2), rtol=fixed(1e-12)),
    sample(np.linalg.lstsq, real(5, 3), real(5)),
    sample(np.linalg.lstsq, real(5, 3), real(5, 2)),
    sample(np.linalg.lstsq, real(2, 3), real(2)),
    sample(np.linalg.lstsq, regular(3, 3), real(3, 2), rcond=-1),
    sample(np.linalg.matrix_rank, real(3, 2)),
    sample(np.linalg.cond, regular(3, 3)),
    sample(np.linalg.cond, real(2, 4, 3)),
    *(sample(np.linalg.cond, regular(3, 3), p) for p in (2, -2, 1, -1, inf, -inf, "fro", "nuc")),
]

FACTORS = [
    sample(np.linalg.det, real(3, 3)),
    sample(np.linalg.det, real(1, 1)),
    sample(np.linalg.det, real(2, 4, 4)),
    sample(np.linalg.slogdet, real(3, 3)),
    sample(np.linalg.slogdet, real(2, 3, 3)),
    sample(np.linalg.cholesky, spd(3)),
    sample(np.linalg.cholesky, spd(3), upper=True),
    sample(np.linalg.cholesky, stacked(spd, 3)),
    sample(np.linalg.qr, real(3, 3)),
    sample(np.linalg.qr, real(5, 3)),
    sample(np.linalg.qr, real(2, 4)),
    sample(np.linalg.qr, stacked(regular, 4, 3)),
    sample(np.linalg.qr, real(4, 2), mode="r"),
    sample(np.linalg.qr, real(2, 3), mode="complete"),
    sample(np.linalg.eigh, spd(3)),
    sample(np.linalg.eigh, spd(3), UPLO="U"),
    sample(np.linalg.eigh, stacked(spd, 3)),
    sample(np.linalg.eigvalsh, spd(4)),
    sample(np.linalg.eigvalsh, stacked(spd, 3), UPLO="U"),
    sample(np.linalg.svd, regular(3, 3)),
    sample(np.linalg.svd, regular(4, 3), full_matrices=False),
    sample(np.linalg.svd, regular(2, 4), full_matrices=False),
    sample(np.linalg.svd, regular(2, 3, 4), full_matrices=False),
    sample(np.linalg.svd, regular(3, 4), compute_uv=False),
    sample(np.linalg.svd, spd(3) - 4 * np.eye(3), hermitian=True),
    sample(np.linalg.svd, spd(3) - 4 * np.eye(3), hermitian=True, compute_uv=False),
    sample(np.linalg.svdvals, regular(2, 3, 2)),
]

VECTOR_ORDERS = (None, 2, 1, 0, 3, fixed(2.5), fixed(0.5), -1, -2, inf, -inf)
MATRIX_ORDERS = (None, "fro", "nuc", 1, -1, 2, -2, inf, -inf)
NORMS = [
    *(sample(np.linalg.norm, real(4), ord) for ord in VECTOR_ORDERS),
    *(sample(np.linalg.norm, real(3, 2), ord) for ord in MATRIX_ORDERS),
    *(sample(np.linalg.norm, real(3, 2), ord, axis=0) for ord in (None, 2, 1, 3, inf)),
    *(sample(np.linalg.norm, real(3, 2), ord, axis=-1, keepdims=True) for ord in (2, 3, -inf)),
    *(sample(np.linalg.norm, real(2, 3, 2), ord, axis=(0, 2)) for ord in MATRIX_ORDERS),
    *(sample(np.linalg.norm, real(2, 3, 2), ord, axis=(2, 0)) for ord in (1, inf, "nuc")),
    *(sample(np.linalg.norm, real(2, 3, 2), o, (-1, -2), True) for o in MATRIX_ORDERS),
    sample(np.linalg.norm, real(2, 3, 2)),
    sample(np.linalg.norm, real(2, 3), keepdims=True),
    sample(np.linalg.norm, real(2, 3), axis=(1,)),
    *(sample(np.linalg.vector_norm, real(2, 3), ord=ord) for ord in (2, 1, 3, inf)),
    sample(np.linalg.vector_norm, real(2, 3, 2), axis=(0, 2), ord=3),
    sample(np.linalg.vector_norm, real(2, 3), axis=1, keepdims=True),
    sample(np.linalg.vector_norm, real(2, 3), keepdims=True),
    sample(np.linalg.matrix_norm, real(2, 3, 2)),
    sample(np.linalg.matrix_norm, real(3, 2), ord="nuc", keepdims=True),
    sample(np.linalg.vector_norm, positive(3), ord=-inf),
]

SAMPLES = [*PRODUCTS, *TENSORDOT, *EINSUM, *SOLVING, *FACTORS, *NORMS]
SAMPLES += [
    sample(cofactors, real(3, 3)),
    sample(cofactors, real(2, 2, 2)),
    sample(cofactors_along, real(3, 3), real(3, 3)).but(order=1),
]
