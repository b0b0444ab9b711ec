"""Data on its way into a network: minibatches, toy sets, IDX files, encodings, augmentation.

What scikit-learn has is taken from there: scalers, PCA and whitening by PCA (``PCA(whiten=True)``),
1-of-k (``OneHotEncoder``), splits, folds, metrics, bundled sets, moons and blobs.  What it lacks
stands here, in its API: fit on the training data alone, then transform everything.

>>> x, y = xor()
>>> [batch.shape for batch, labels in Loader(x, y, batch_size=3)]
[(3, 2), (1, 2)]
"""

import importlib

from .loader import Loader
from .toys import rings, spirals, xor

# These stand on scikit-learn, SciPy, or slow parts of the standard library, and are imported when
# first asked for.
_LATER = {
    "Augmentation": "augmentation", "warp": "augmentation",
    "MeanImage": "encoding", "PerChannelMean": "encoding", "ThermometerEncoder": "encoding",
    "ZCAWhitening": "encoding", "read_idx": "idx", "write_idx": "idx",
}  # fmt: skip

__all__ = ["Loader", "rings", "spirals", "xor", *_LATER]


def __getattr__(name):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LATER[name]}", __name__), name)


def __dir__():
    return sorted({*globals(), *__all__})
