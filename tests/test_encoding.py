"""Encodings in scikit-learn's API: by hand, against scikit-learn's own, and by its checks."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from nn.data import MeanImage, PerChannelMean, ThermometerEncoder, ZCAWhitening

IMAGES = np.random.default_rng(0).random((20, 3, 4, 5))


@pytest.mark.parametrize("make", [MeanImage, PerChannelMean, ThermometerEncoder, ZCAWhitening])
def test_scikit_learns_own_checks(make):
    results = check_estimator(make(), on_skip=None)
    assert len(results) > 30 and {r["status"] for r in results} <= {"passed", "skipped"}


# --- thermometers ---------------------------------------------------------------------------------

SIZES = ["small", "medium", "large"]


def test_a_level_is_as_many_ones_as_its_rank():
    encoder = ThermometerEncoder([SIZES, [1, 2]])
    x = np.array([["medium", 2], ["small", 1], ["large", 1]], dtype=object)
    code = encoder.fit(x).transform(x)
    assert code.tolist() == [[1, 1, 0, 1, 1], [1, 0, 0, 1, 0], [1, 1, 1, 1, 0]]
    assert code.dtype == np.float32
    assert encoder.inverse_transform(code).tolist() == x.tolist()
    names = encoder.get_feature_names_out(["size", "n"])
    assert list(names) == ["size>=small", "size>=medium", "size>=large", "n>=1", "n>=2"]


def test_levels_found_in_the_data_are_sorted():
    encoder = ThermometerEncoder(dtype=float).fit([[30], [10], [20]])
    assert encoder.transform([[20], [10]]).tolist() == [[1, 1, 0], [1, 0, 0]]


def test_outputs_of_a_network_are_read_back_by_counting():
    encoder = ThermometerEncoder([SIZES]).fit([["small"]])
    rough = [[0.9, 0.7, 0.2], [0.1, 0.2, 0.1], [0.8, 0.4, 0.9]]
    assert encoder.inverse_transform(rough)[:, 0].tolist() == ["medium", "small", "medium"]


def test_an_unknown_level_raises():
    with pytest.raises(ValueError, match="huge"):
        ThermometerEncoder([SIZES]).fit([["huge"]])
    encoder = ThermometerEncoder([SIZES]).fit([["small"]])
    with pytest.raises(ValueError, match="huge"):
        encoder.transform([["huge"]])
    with pytest.raises(ValueError, match=r"\(n, 3\) wanted, got \(1, 2\)"):
        encoder.inverse_transform([[1, 0]])
    with pytest.raises(NotFittedError):
        ThermometerEncoder().transform([[1]])


# --- means ----------------------------------------------------------------------------------------


def test_the_mean_image_is_the_training_sets():
    train, test = IMAGES[:12], IMAGES[12:]
    centred = MeanImage().fit(train)
    np.testing.assert_allclose(centred.mean_, sum(train) / 12)
    np.testing.assert_allclose(centred.transform(test), test - sum(train) / 12)
    np.testing.assert_allclose(centred.inverse_transform(centred.transform(test)), test)
    flat = StandardScaler(with_std=False).fit(train.reshape(12, -1))
    np.testing.assert_allclose(
        centred.transform(test).reshape(8, -1), flat.transform(test.reshape(8, -1))
    )


def test_each_channel_loses_one_number():
    centred = PerChannelMean().fit(IMAGES)
    assert centred.mean_.shape == (3, 1, 1)
    for channel in range(3):
        mean = IMAGES[:, channel].mean()
        np.testing.assert_allclose(centred.transform(IMAGES)[:, channel], IMAGES[:, channel] - mean)
    np.testing.assert_allclose(centred.inverse_transform(centred.transform(IMAGES)), IMAGES)
    with pytest.raises(ValueError, match=r"\(N, C, H, W\).*X\[:, None\]"):
        PerChannelMean().fit(IMAGES[:, 0])


@pytest.mark.parametrize("make", [MeanImage, PerChannelMean, ZCAWhitening])
def test_images_of_another_shape_and_of_single_precision(make):
    fitted = make().fit(IMAGES)
    with pytest.raises(ValueError, match=rf"{make.__name__}: examples of shape \(3, 4, 5\)"):
        fitted.transform(IMAGES[:, :, :, :2])
    single = fitted.transform(IMAGES.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, fitted.transform(IMAGES), rtol=1e-3, atol=1e-3)
    assert not hasattr(clone(fitted), "mean_")


# --- whitening ------------------------------------------------------------------------------------


def test_zca_is_whitening_by_pca_turned_back():
    x = np.random.default_rng(1).standard_normal((40, 5)) @ np.diag([1, 2, 3, 4, 5])
    x[:, 1] += x[:, 0]
    zca, pca = ZCAWhitening(eps=0).fit(x), PCA(whiten=True).fit(x)
    white = zca.transform(x)
    np.testing.assert_allclose(white, pca.transform(x) @ pca.components_)
    np.testing.assert_allclose(np.cov(white.T), np.eye(5), atol=1e-12)
    np.testing.assert_allclose(zca.whitening_, zca.whitening_.T)
    np.testing.assert_allclose(zca.inverse_transform(white), x)


def test_directions_without_variance_stay_small_or_raise():
    x = np.random.default_rng(1).standard_normal((40, 3))
    x[:, 2] = x[:, 0]
    white = ZCAWhitening(eps=1e-5).fit(x)
    assert np.abs(white.transform(x)).max() < 10
    np.testing.assert_allclose(white.inverse_transform(white.transform(x)), x)
    with pytest.raises(ValueError, match="1 of 3 directions; give eps > 0"):
        ZCAWhitening(eps=0).fit(x)
    with pytest.raises(ValueError, match="eps is 0 or more"):
        ZCAWhitening(eps=-1).fit(x)


def test_images_stay_images_in_a_pipeline():
    pipeline = make_pipeline(PerChannelMean(), ZCAWhitening())
    white = pipeline.fit_transform(IMAGES)
    assert white.shape == IMAGES.shape
    np.testing.assert_allclose(pipeline.inverse_transform(white), IMAGES)
