"""Encodings and preprocessing that scikit-learn lacks, in its API.

Fit them on the training data alone, and transform all data with what was fitted (lecture A).
They can be cloned and stand in pipelines.
"""

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import OrdinalEncoder
from sklearn.utils.validation import FLOAT_DTYPES, check_array, check_is_fitted, validate_data


class ThermometerEncoder(TransformerMixin, BaseEstimator):
    """Ordinal features as thermometers (lecture A): of k levels, the j-th is j ones, then zeros.

    categories   a list of each feature's levels from lowest to highest, or "auto": the sorted
                 values found in the data (right for numbers, and for words hardly ever)
    dtype        of the result

    >>> encoder = ThermometerEncoder([["small", "medium", "large"]])
    >>> encoder.fit_transform([["small"], ["medium"], ["large"]])
    array([[1., 0., 0.],
           [1., 1., 0.],
           [1., 1., 1.]], dtype=float32)
    """

    def __init__(self, categories="auto", dtype=np.float32):
        self.categories, self.dtype = categories, dtype

    def fit(self, X, y=None):
        """X (n, features), of numbers or words.

        Raises ValueError for levels not in categories and for missing values, which have no rank.
        """
        check_array(X, dtype=None)
        self._ordinal = OrdinalEncoder(categories=self.categories, dtype=np.intp).fit(X)
        self.categories_ = self._ordinal.categories_
        self.n_features_in_ = self._ordinal.n_features_in_
        if hasattr(self._ordinal, "feature_names_in_"):
            self.feature_names_in_ = self._ordinal.feature_names_in_
        return self

    def transform(self, X):
        """(n, features) to (n, total number of levels); ValueError for a level not fitted."""
        check_is_fitted(self)
        check_array(X, dtype=None)
        ranks = self._ordinal.transform(X)
        parts = [
            rank[:, None] >= np.arange(len(levels))
            for rank, levels in zip(ranks.T, self.categories_, strict=True)
        ]
        return np.concatenate(parts, axis=1).astype(self.dtype)

    def inverse_transform(self, X):
        """The levels; what is no thermometer counts by how many of its elements exceed 1/2.

        Of no more than the lowest level, the lowest.
        """
        check_is_fitted(self)
        X = np.asarray(X)
        sizes = [len(levels) for levels in self.categories_]
        if X.ndim != 2 or X.shape[1] != sum(sizes):
            raise ValueError(
                f"ThermometerEncoder: X of shape (n, {sum(sizes)}) wanted, got {X.shape}"
            )
        parts = np.split(X > 0.5, np.cumsum(sizes)[:-1], axis=1)
        ranks = np.stack([np.maximum(part.sum(axis=1) - 1, 0) for part in parts], axis=1)
        return self._ordinal.inverse_transform(ranks)

    def get_feature_names_out(self, input_features=None):
        """``size>=small``, ``size>=medium``, ...: what each column says."""
        check_is_fitted(self)
        names = self._ordinal.get_feature_names_out(input_features)
        return np.array(
            [
                f"{name}>={level}"
                for name, levels in zip(names, self.categories_, strict=True)
                for level in levels
            ],
            dtype=object,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


class _OfImages(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base: what takes arrays of any number of axes, the first of which counts the examples."""

    def _checked(self, X, fitting):
        if not fitting:
            check_is_fitted(self)
        X = validate_data(self, X, reset=fitting, allow_nd=True, dtype=FLOAT_DTYPES)
        self._check_shape(X.shape, X.shape[1:] if fitting else self.shape_)
        if fitting:
            self.shape_ = X.shape[1:]
        return X

    def _check_shape(self, shape, each):
        if shape[1:] != each:
            raise ValueError(
                f"{type(self).__name__}: examples of shape {each}, as in fit, wanted; "
                f"X has shape {shape}"
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class MeanImage(_OfImages):
    """Subtract the mean image (lecture B): the mean over the examples, for each pixel."""

    def fit(self, X, y=None):
        """X (n, ...)."""
        self.mean_ = self._checked(X, fitting=True).mean(axis=0)
        return self

    def transform(self, X):
        """``X - mean_``."""
        X = self._checked(X, fitting=False)
        return X - self.mean_.astype(X.dtype)

    def inverse_transform(self, X):
        """``X + mean_``."""
        X = self._checked(X, fitting=False)
        return X + self.mean_.astype(X.dtype)


class PerChannelMean(MeanImage):
    """Subtract each channel's mean over examples and pixels (lecture B): one number a channel.

    The channels stand on axis 1: (N, C, H, W), or (N, C).  `mean_` keeps the axes of an example:
    (C, 1, 1).
    """

    def fit(self, X, y=None):
        """X (N, C, H, W) or (N, C)."""
        X = self._checked(X, fitting=True)
        axes = (0, *range(2, X.ndim))
        self.mean_ = X.mean(axis=axes, keepdims=True)[0]
        return self

    def _check_shape(self, shape, each):
        if len(shape) not in (2, 4):
            raise ValueError(
                f"PerChannelMean: X of shape (N, C, H, W) or (N, C) wanted, got {shape}; "
                f"images of one channel are X[:, None]"
            )
        super()._check_shape(shape, each)


class ZCAWhitening(_OfImages):
    """Whitening that stays nearest to the data: ``(X - mean) @ U @ diag(1/√(λ + eps)) @ U.T``.

    λ and U are the eigenvalues and eigenvectors of the covariance (n - 1 in its denominator, as
    in scikit-learn's PCA).  It is whitening by PCA, turned back: whitened images still look like
    images.  Images of any shape are whitened as vectors of their pixels.

    eps   added to the variances, so that directions without any are not blown up; with 0, data
          that does not vary in all directions raises ValueError
    """

    def __init__(self, eps=1e-5):
        self.eps = eps

    def fit(self, X, y=None):
        """X (n, ...), of at least two examples."""
        if not 0 <= self.eps < np.inf:
            raise ValueError(f"ZCAWhitening: eps is 0 or more, got {self.eps}")
        X = self._checked(X, fitting=True)
        if len(X) < 2:
            raise ValueError("ZCAWhitening: 1 sample has no covariance; at least 2 wanted")
        rows = X.reshape(len(X), -1).astype(float)
        self.mean_ = rows.mean(axis=0)
        rows -= self.mean_
        variances, axes = np.linalg.eigh(rows.T @ rows / (len(rows) - 1))
        none = variances <= variances[-1] * len(variances) * np.finfo(float).eps
        if not self.eps and none.any():
            raise ValueError(
                f"ZCAWhitening: the data does not vary in {none.sum()} of {len(none)} directions; "
                f"give eps > 0, such as 1e-5"
            )
        scale = np.sqrt(np.where(none, 0, variances) + self.eps)
        self.whitening_ = (axes / scale) @ axes.T
        self.colouring_ = (axes * scale) @ axes.T
        return self

    def transform(self, X):
        """Of the shape of X."""
        X = self._checked(X, fitting=False)
        rows = X.reshape(len(X), -1) - self.mean_.astype(X.dtype)
        return (rows @ self.whitening_.astype(X.dtype)).reshape(X.shape)

    def inverse_transform(self, X):
        """The data again."""
        X = self._checked(X, fitting=False)
        rows = X.reshape(len(X), -1) @ self.colouring_.astype(X.dtype)
        return (rows + self.mean_.astype(X.dtype)).reshape(X.shape)
