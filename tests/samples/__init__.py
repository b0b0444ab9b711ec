"""Sample calls of every operation, gathered from this package's modules."""

import importlib
import pkgutil

SAMPLES = [
    sample
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name != "make")
    for sample in importlib.import_module(f"{__name__}.{module}").SAMPLES
]
