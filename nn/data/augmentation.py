"""Augmentation of images: more examples of what stays the same object (lectures A and C).

Images are (N, H, W) or (N, C, H, W), of floats.  All that moves pixels is one affine map of each
image, so that it is interpolated once (`scipy.ndimage.affine_transform`).
"""

import numpy as np
from scipy import ndimage

from autograd.payload import numeric
from autograd.primitive import telling
from autograd.rules.random import generator_or_default

from ..checks import check_not_negative, check_probability


@telling
def warp(images, rotate=0.0, rescale=1.0, stretch=1.0, shift=0.0, flip=False, **fill):
    """Each image flipped, stretched, rescaled, rotated (about its centre) and shifted, in order.

    Every setting is one for all images, or one for each of the N:

    rotate    degrees, counterclockwise
    rescale   factor of both axes; above 1 enlarges
    stretch   factor of both axes, or two on the last axis: of (rows, columns)
    shift     pixels along both axes, or two on the last axis: (down, right)
    flip      whether left and right change places
    fill      order=, mode=, cval= of affine_transform; not given: 1 (linear), "grid-constant", 0

    >>> warp(np.array([[[1.0, 2.0], [3.0, 4.0]]]), flip=True)
    array([[[2., 1.],
            [4., 3.]]])
    """
    images = _images("warp", images)
    n = len(images)
    rotate, rescale, flip = (
        _each(name, value, (n,))
        for name, value in (("rotate", rotate), ("rescale", rescale), ("flip", flip))
    )
    stretch, shift = _each("stretch", stretch, (n, 2)), _each("shift", shift, (n, 2))
    factors = rescale[:, None] * stretch
    if not (factors > 0).all():
        raise ValueError("warp: the factors of rescale and stretch are positive")
    # scipy asks where an output pixel comes from: p -> flip·diag(1/factors)·rotation⁻¹ (p - c - s)
    # + c, rows before columns
    angle, mirror = np.deg2rad(rotate), np.where(flip != 0, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    maps = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1) / factors[:, :, None]
    maps[:, 1] *= mirror[:, None]
    centre = (np.array(images.shape[-2:]) - 1) / 2
    offsets = centre - np.einsum("nij,nj->ni", maps, centre + shift)
    fill = {"order": 1, "mode": "grid-constant", "cval": 0.0} | fill
    result = np.empty_like(images)
    for image, out, matrix, offset in zip(images, result, maps, offsets, strict=True):
        channels = [(image, out)] if image.ndim == 2 else zip(image, out, strict=True)
        for source, target in channels:
            ndimage.affine_transform(source, matrix, offset, output=target, **fill)
    return result


class Augmentation:
    """Images distorted at random, each in its own way; call it on every batch of an epoch anew.

    rotate      degrees: by an angle within ±rotate
    rescale     by a factor within [1/(1 + rescale), 1 + rescale]
    stretch     the same, but a factor for each axis
    shift       pixels: within ±shift along each axis
    flip        probability of changing left and right
    noise       standard deviation of what is added to each pixel
    generator   what the draws come from; the default one if None
    fill        order=, mode=, cval= as in `warp`

    >>> augment = Augmentation(rotate=10, shift=1, generator=np.random.default_rng(0))
    >>> augment(np.zeros((5, 8, 8))).shape
    (5, 8, 8)
    """

    def __init__(
        self, rotate=0.0, rescale=0.0, stretch=0.0, shift=0.0, flip=0.0, noise=0.0,
        generator=None, **fill,
    ):  # fmt: skip
        self.settings = {
            "rotate": rotate, "rescale": rescale, "stretch": stretch, "shift": shift,
            "flip": flip, "noise": noise,
        }  # fmt: skip
        for name, value in self.settings.items():
            check = check_probability if name == "flip" else check_not_negative
            check("Augmentation", **{name: value})
        if unknown := set(fill) - {"order", "mode", "cval"}:
            raise TypeError(f"Augmentation: there is no setting {', '.join(sorted(unknown))}")
        self.generator, self.fill = generator, fill

    def __call__(self, images):
        """New images (N, H, W) or (N, C, H, W); those given are kept."""
        images = _images("Augmentation", images)
        draw, n, by = generator_or_default(self.generator), len(images), self.settings
        result = images.copy()
        if any(by[name] for name in by if name != "noise"):
            result = warp(
                images,
                rotate=draw.uniform(-1, 1, n) * by["rotate"],
                rescale=(1 + by["rescale"]) ** draw.uniform(-1, 1, n),
                stretch=(1 + by["stretch"]) ** draw.uniform(-1, 1, (n, 2)),
                shift=draw.uniform(-1, 1, (n, 2)) * by["shift"],
                flip=draw.random(n) < by["flip"],
                **self.fill,
            )
        if by["noise"]:
            result += by["noise"] * draw.standard_normal(images.shape, images.dtype.type)
        return result

    def __repr__(self):
        given = {**{k: v for k, v in self.settings.items() if v}, **self.fill}
        return f"Augmentation({', '.join(f'{k}={v!r}' for k, v in given.items())})"


def _each(name, value, shape):
    try:
        return np.broadcast_to(np.asarray(value, float), shape)
    except ValueError:
        raise ValueError(
            f"warp: {name} must fit the shape {shape}, images first; it has {np.shape(value)}"
        ) from None


def _images(name, images):
    images = np.asarray(numeric("warp, images", images))
    if images.ndim not in (3, 4):
        raise ValueError(f"{name}: images (N, H, W) or (N, C, H, W) wanted, got {images.shape}")
    if images.dtype not in (np.float32, np.float64):
        raise TypeError(
            f"{name}: float32 or float64 images wanted, got {images.dtype}; "
            f"such as images.astype(np.float32) / 255"
        )
    return images
