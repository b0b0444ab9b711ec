"""Augmentation: against NumPy's turns, flips and shifts, and SciPy's own zoom of a smooth image."""

import numpy as np
import pytest

from nn.data import Augmentation, warp

IMAGES = np.random.default_rng(0).random((4, 6, 6))


def close(a, b):
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_quarter_turn_counterclockwise():
    close(warp(IMAGES, rotate=90), np.rot90(IMAGES, axes=(1, 2)))
    close(
        warp(IMAGES, rotate=[0, 90, 180, -90]),
        [np.rot90(image, k) for k, image in enumerate(IMAGES)],
    )


def test_flip_changes_left_and_right_of_the_images_asked_for():
    flipped = warp(IMAGES, flip=[True, False, True, False])
    close(flipped[0], np.fliplr(IMAGES[0]))
    close(flipped[1], IMAGES[1])


def test_shift_goes_down_and_right_and_fills():
    moved = warp(IMAGES, shift=(1, 2), cval=7.0)
    close(moved[:, 1:, 2:], IMAGES[:, :-1, :-2])
    assert (moved[:, 0] == 7).all() and (moved[:, :, :2] == 7).all()
    halfway = warp(IMAGES, shift=(0, 0.5))
    close(halfway[:, :, 1:], (IMAGES[:, :, 1:] + IMAGES[:, :, :-1]) / 2)


def test_rescale_and_stretch_of_a_ramp():
    """Linear interpolation of a ramp is exact: enlarged twice, it rises half as fast."""
    row, column = np.meshgrid(np.arange(9.0) - 4, np.arange(9.0) - 4, indexing="ij")
    ramp = (row + 10 * column)[None]
    close(warp(ramp, rescale=2)[0], (row + 10 * column) / 2)
    close(warp(ramp, stretch=(1, 2))[0], row + 5 * column)
    close(warp(ramp, stretch=(2, 4), rescale=0.5, mode="nearest")[0], row + 5 * column)


def test_the_order_is_flip_factors_rotation_shift():
    stepwise = IMAGES
    for step in ({"flip": True}, {"stretch": (1, 1)}, {"rotate": 90}, {"shift": (1, 0)}):
        stepwise = warp(stepwise, **step)
    close(warp(IMAGES, flip=True, rotate=90, shift=(1, 0)), stepwise)
    row, column = np.meshgrid(np.arange(9.0) - 4, np.arange(9.0) - 4, indexing="ij")
    # columns enlarged first, then turned: they are the rows of the result
    turned = warp((row + 10 * column)[None], stretch=(1, 2), rotate=90)
    close(turned[0], np.rot90(row + 5 * column))


def test_channels_move_together():
    colours = np.stack([IMAGES, 2 * IMAGES, IMAGES**2], axis=1)
    turned = warp(colours, rotate=[10, 20, 30, 40], rescale=1.3)
    assert turned.shape == (4, 3, 6, 6)
    for channel in range(3):
        close(turned[:, channel], warp(colours[:, channel], rotate=[10, 20, 30, 40], rescale=1.3))


def test_what_warp_cannot_take():
    with pytest.raises(ValueError, match=r"\(N, H, W\) or \(N, C, H, W\) wanted, got \(6, 6\)"):
        warp(IMAGES[0])
    with pytest.raises(TypeError, match="float32 or float64 images wanted, got uint8"):
        warp(np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(ValueError, match=r"rotate must fit the shape \(4,\)"):
        warp(IMAGES, rotate=[1, 2, 3])
    with pytest.raises(ValueError, match="positive"):
        warp(IMAGES, rescale=0)


# --- at random ------------------------------------------------------------------------------------

ALL = {"rotate": 20, "rescale": 0.2, "stretch": 0.1, "shift": 1, "flip": 0.5, "noise": 0.1}


def test_draws_are_seeded_and_differ_by_image_and_by_call():
    def make(seed):
        return Augmentation(**ALL, generator=np.random.default_rng(seed))

    same = np.repeat(IMAGES[:1], 5, axis=0).astype(np.float32)
    augment = make(0)
    first, second = augment(same), augment(same)
    assert first.dtype == np.float32 and (first == make(0)(same)).all()
    assert (first != second).any() and (first != make(1)(same)).any()
    assert len({image.tobytes() for image in first}) == 5
    assert (same == IMAGES[:1].astype(np.float32)).all()


def test_nothing_set_changes_nothing():
    unchanged = Augmentation()(IMAGES)
    assert (unchanged == IMAGES).all() and unchanged is not IMAGES


def test_draws_stay_in_their_ranges():
    """Read off the images: flips by comparison, shifts and noise by what they do to a ramp."""
    generator = np.random.default_rng(0)
    many = np.repeat(IMAGES[:1], 1000, axis=0)
    flipped = Augmentation(flip=0.3, generator=generator)(many)
    share = np.isclose(flipped, np.fliplr(IMAGES[0])).all(axis=(1, 2)).mean()
    assert abs(share - 0.3) < 0.05
    noisy = Augmentation(noise=0.2, generator=generator)(many) - many
    assert abs(noisy.std() - 0.2) < 0.005 and abs(noisy.mean()) < 0.005
    ramp = np.repeat(np.arange(9.0)[None, None] + np.zeros((1, 9, 1)), 1000, axis=0)
    middle = (slice(None), 4, 4)
    moved = 4 - Augmentation(shift=2, generator=generator)(ramp)[middle]
    assert np.abs(moved).max() <= 2 and abs(moved.std() - 2 / np.sqrt(3)) < 0.05
    rise = 1 / np.diff(Augmentation(rescale=0.5, generator=generator)(ramp)[:, 4, 4:6])[:, 0]
    assert 1 / 1.5 <= rise.min() < 0.7 and 1.45 < rise.max() <= 1.5
    both = ramp + 100 * np.arange(9.0)[None, :, None]
    stretched = Augmentation(stretch=0.5, generator=generator)(both)
    across = 1 / np.diff(stretched[:, 4, 4:6])[:, 0]
    down = 100 / np.diff(stretched[:, 4:6, 4])[:, 0]
    assert 1 / 1.5 <= min(across.min(), down.min()) and max(across.max(), down.max()) <= 1.5 + 1e-9
    assert abs(np.corrcoef(np.log(across), np.log(down))[0, 1]) < 0.1  # a factor for each axis
    turned = Augmentation(rotate=30, generator=generator)(ramp)
    angle = np.rad2deg(
        np.arctan2(turned[:, 3, 4] - turned[:, 4, 4], turned[:, 4, 5] - turned[:, 4, 4])
    )
    assert np.abs(angle).max() <= 30 and abs(angle.std() - 30 / np.sqrt(3)) < 1


@pytest.mark.parametrize("wrong", [{"rotate": -1}, {"flip": 1.5}, {"noise": np.nan}])
def test_settings_out_of_range(wrong):
    with pytest.raises(ValueError, match=f"Augmentation: {next(iter(wrong))} is"):
        Augmentation(**wrong)
    with pytest.raises(TypeError, match="no setting zoom"):
        Augmentation(zoom=1)
