"""Imports run one way, and importing the library brings in NumPy and nothing else."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import autograd

ROOT = Path(autograd.__file__).parents[1]
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("autograd", "nn", "optim")
    for path in sorted((ROOT / package).rglob("*.py"))
}

# What each module of the core may import of the library; the order is that of a first reading.
CORE = {
    "autograd.reads": [],
    "autograd.primitive": ["autograd.reads"],
    "autograd.costs": ["autograd.primitive"],
    "autograd.lazy": ["autograd.primitive"],
    "autograd.batching": ["autograd.primitive"],
    "autograd.families": ["autograd.batching", "autograd.lazy", "autograd.primitive"],
    "autograd.graph": [],
    "autograd.watched": ["autograd.graph", "autograd.primitive", "autograd.reads"],
    "autograd.scopes": ["autograd.graph"],
    "autograd.tree": [],
    "autograd.repeat": [],
    "autograd.rules.*": [
        "autograd.batching", "autograd.costs", "autograd.families", "autograd.lazy",
        "autograd.payload", "autograd.primitive",
        "autograd.reads",
        "autograd.repeat", "autograd.rules.*",
    ],
    "autograd.rules": ["autograd.rules.*"],
    "autograd.reverse": [
        "autograd.graph", "autograd.lazy", "autograd.payload", "autograd.primitive",
        "autograd.rules.indexing", "autograd.watched",
    ],
    "autograd.duck": [
        "autograd.batching", "autograd.families", "autograd.graph", "autograd.lazy",
        "autograd.primitive", "autograd.rules.elementwise", "autograd.rules.indexing",
    ],
    "autograd.payload": ["autograd.primitive"],
    "autograd.operators": [
        "autograd.dual", "autograd.duck", "autograd.graph", "autograd.primitive",
        "autograd.rules.elementwise", "autograd.tensor",
    ],
    "autograd.tensor": [
        "autograd.lazy", "autograd.payload",
        "autograd.reverse", "autograd.duck", "autograd.watched", "autograd.graph",
        "autograd.primitive", "autograd.rules.*", "autograd.tree",
    ],
    "autograd.dual": [
        "autograd.duck", "autograd.graph", "autograd.primitive", "autograd.tensor",
    ],
    "autograd.batch": ["autograd.batching", "autograd.duck", "autograd.primitive"],
    "autograd.forward": ["autograd.graph", "autograd.watched"],
    "autograd.mapping": [
        "autograd.batch", "autograd.graph", "autograd.payload", "autograd.primitive",
        "autograd.tensor",
        "autograd.transforms", "autograd.tree",
    ],
    "autograd.transforms": [
        "autograd.dual", "autograd.forward", "autograd.graph",
        "autograd.payload", "autograd.primitive", "autograd.reverse", "autograd.tensor",
        "autograd.tree",
    ],
    "autograd.matrices": [
        "autograd.batch", "autograd.diagonal", "autograd.graph", "autograd.lazy",
        "autograd.primitive", "autograd.transforms", "autograd.tree",
    ],
    "autograd.audit": ["autograd.graph", "autograd.reverse", "autograd.tensor"],
    "autograd.checkpoint": [
        "autograd.batch", "autograd.batching", "autograd.graph", "autograd.primitive",
        "autograd.repeat", "autograd.tensor", "autograd.transforms", "autograd.tree",
    ],
    "autograd.counted": [
        "autograd.costs", "autograd.duck", "autograd.graph", "autograd.primitive",
        "autograd.tensor", "autograd.transforms", "autograd.tree",
    ],
    "autograd.check": [
        "autograd.lazy", "autograd.primitive", "autograd.transforms", "autograd.tree",
    ],
}  # fmt: skip
# What uses the core, and is used by nothing in it.
AROUND = (
    "show",
    "program",
    "planner",
    "sweeps",
    "sparsity",
    "colouring",
    "ledger",
    "measuring",
    "findings",
    "trail",
    "attribution",
    "certificate",
    "support",
)
# What the two packages may use besides autograd's public names.
NN = [
    "autograd.batching",
    "autograd.lazy",
    "autograd.costs",
    "autograd.payload",
    "autograd.primitive",
    "autograd.repeat",
    "autograd.rules.random",
    "autograd.scopes",
    "autograd.show.plotting",
    "autograd.show.tables",
    "nn",
    "nn.*",
]
OPTIM = [
    "autograd.graph",
    "autograd.lazy",
    "autograd.payload",
    "autograd.primitive",
    "autograd.repeat",
    "autograd.rules.random",
    "autograd.watched",
    "autograd.show.plotting",
    "autograd.show.tables",
    "autograd.watched",
    "optim",
    "optim.*",
]
# What the modules of optim that differentiate may use besides autograd's public names, and what
# the one of nn that trains may use of optim.
DIFFERENTIATES = {
    "optim.distributed": ["autograd", "nn.data"],
    "optim.minimizers": ["autograd.tree"],
    "optim.training": ["autograd.audit", "autograd.repeat", "nn.data", "nn.module"],
    "nn.estimators": ["optim", "optim.*"],
}
# What is imported when first asked for, and may stand on scikit-learn, SciPy and the like; or does
# so in a function that is given what only these make.
LATER = [
    "autograd.lazy",
    "autograd.rules.special",
    "nn.data.augmentation",
    "nn.data.encoding",
    "nn.estimators",
    "optim.callbacks",
    "optim.checkpoint",
    "optim.distributed",
    "optim.history",
    "optim.metrics",
    "optim.minimizers",
    "optim.training",
]


def imported(name, source):
    """``(module, names)`` of every import statement of the module `name`, also in functions.

    A submodule imported from its package is given by its own name: ``from . import graph`` in
    autograd.tensor is ("autograd.graph", None).
    """
    is_package = name in FILES and FILES[name].stem == "__init__"
    package = name if is_package else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            for alias in node.names:
                inside = f"{base}.{alias.name}"
                yield (inside, None) if inside in FILES else (base, alias.name)


def allowed(module, patterns):
    return any(
        module == pattern or (pattern.endswith(".*") and module.startswith(pattern[:-1]))
        for pattern in patterns
    )


def rule_for(name):
    """What the core module `name` may import; None for a module without an entry."""
    for pattern, may in CORE.items():
        if allowed(name, [pattern]):
            return may
    return None


def violations(name, source):
    """What the module `name`, with this text, imports and must not."""
    found = []
    top = name.partition(".")[0]
    for module, item in imported(name, source):
        library = module.partition(".")[0]
        full = module if item is None else f"{module}.{item}"
        if library not in ("autograd", "nn", "optim"):
            if library != "numpy" and library not in sys.stdlib_module_names:
                around = name.split(".")[1:2]
                own = top == "autograd" and around and around[0] in AROUND
                if not own and not allowed(name, LATER):
                    found.append(full)
        elif top == "autograd":
            may = rule_for(name)
            inner = name.split(".")[1:2]
            if library != "autograd":
                found.append(full)
            elif may is not None and not allowed(module, may):
                found.append(full)
            elif not (inner and inner[0] in AROUND) and allowed(
                module, [p for a in AROUND for p in (f"autograd.{a}", f"autograd.{a}.*")]
            ):
                found.append(full)
        elif top == "nn":
            public = module == "autograd" and (item is None or item in autograd.__all__)
            if not public and not allowed(module, NN + DIFFERENTIATES.get(name, [])):
                found.append(full)
        elif not allowed(module, OPTIM):
            public = module == "autograd" and (item is None or item in autograd.__all__)
            besides = DIFFERENTIATES.get(name)
            if besides is None or not (public or allowed(module, besides)):
                found.append(full)
    return found


@pytest.mark.parametrize("name", FILES)
def test_imports_run_one_way(name):
    assert violations(name, FILES[name].read_text(encoding="utf-8")) == []


def test_every_module_of_the_core_exists():
    for pattern in CORE:
        assert any(allowed(name, [pattern]) for name in FILES), pattern


def test_nn_uses_public_names_of_autograd():
    """Also where it writes ``autograd.name``."""
    for name, path in FILES.items():
        if name.partition(".")[0] == "nn":
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    if node.value.id == "autograd":
                        assert node.attr in autograd.__all__, f"{name}: autograd.{node.attr}"


WRONG = {
    ("autograd.primitive", "from .graph import Node"): ["autograd.graph.Node"],
    ("autograd.graph", "from . import tensor"): ["autograd.tensor"],
    ("autograd.rules.linalg", "from ..tensor import Tensor"): ["autograd.tensor.Tensor"],
    ("autograd.rules.linalg", "import autograd.reverse"): ["autograd.reverse"],
    ("autograd.rules.linalg", "from .. import graph"): ["autograd.graph"],
    ("autograd.rules.linalg", "import scipy.linalg"): ["scipy.linalg"],
    ("autograd.reverse", "from .tensor import Tensor"): ["autograd.tensor.Tensor"],
    ("autograd.duck", "from .tensor import Tensor"): ["autograd.tensor.Tensor"],
    ("autograd.tensor", "from .transforms import grad"): ["autograd.transforms.grad"],
    ("autograd.tensor", "def f():\n    from .show import draw"): ["autograd.show.draw"],
    ("autograd.tensor", "from .show.draw import draw"): ["autograd.show.draw.draw"],
    ("autograd", "from . import show"): ["autograd.show"],
    ("autograd.forward", "from .support import rows"): ["autograd.support.rows"],
    ("autograd.check", "import nn"): ["nn"],
    ("nn.layers", "from autograd import relu_"): ["autograd.relu_"],
    ("nn.layers", "from autograd.tensor import handle"): ["autograd.tensor.handle"],
    ("nn.layers", "import optim"): ["optim"],
    ("nn.data.loader", "import sklearn"): ["sklearn"],
    ("optim.optimizers", "import autograd"): ["autograd"],
    ("optim.optimizers", "from nn import Module"): ["nn.Module"],
    ("optim.minimizers", "import nn\nfrom autograd import hvp_"): ["nn", "autograd.hvp_"],
    ("optim.optimizers", "import tqdm"): ["tqdm"],
    ("optim.training", "from nn.layers import Linear"): ["nn.layers.Linear"],
}
RIGHT = [
    ("autograd.rules.linalg", "import math\nimport numpy as np\nfrom ..primitive import linear"),
    ("autograd.rules.linalg", "from .indexing import scatter"),
    ("autograd.reverse", "from . import graph\nfrom .rules.indexing import scatter"),
    ("autograd.show.draw", "import graphviz\nfrom ..tensor import Tensor\nimport autograd"),
    ("nn.layers", "import autograd\nfrom autograd import relu\nfrom . import functional as F"),
    ("optim.rules", "import numpy as np\nfrom .optimizers import Adam"),
    ("nn.data.encoding", "import sklearn.base"),
    ("optim.minimizers", "import scipy.optimize\nfrom autograd import hvp"),
]


@pytest.mark.parametrize("case", WRONG)
def test_an_import_against_the_direction_is_found(case):
    assert violations(*case) == WRONG[case]


@pytest.mark.parametrize("case", RIGHT)
def test_an_import_in_the_direction_is_fine(case):
    assert violations(*case) == []


def python(code):
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_importing_the_library_imports_numpy_and_nothing_else():
    """Compared with what NumPy itself brings in, its random module included."""
    found = python(
        "import sys, numpy.random\n"
        "before = set(sys.modules)\n"
        "import autograd, nn, optim\n"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(tops - set(sys.stdlib_module_names) - {'numpy'}))"
    )
    assert found == ["autograd", "nn", "optim"]


def test_importing_the_library_does_not_import_what_is_around_the_core():
    found = python(
        "import sys, autograd, nn, optim\n"
        "print(*(name for name in sys.modules if name.startswith('autograd.')))"
    )
    assert "autograd.tensor" in found
    assert not [name for name in found if name.split(".")[1] in AROUND]


# What would make `import autograd, nn, optim` slow: none of it is needed before it is asked for.
SLOW = {
    "argparse", "asyncio", "concurrent.futures", "csv", "ctypes.util", "email", "gzip", "html",
    "http", "importlib.metadata", "json", "logging", "multiprocessing", "pathlib", "pprint",
    "queue", "shutil", "socket", "ssl", "subprocess", "tempfile", "unittest", "urllib.parse",
    "uuid", "xml", "zipfile",
    "numpy.fft", "numpy.ma", "numpy.random", "numpy.testing",
    "cupy", "dask", "distributed", "graphviz", "joblib", "matplotlib", "numba", "pandas",
    "pygraphviz", "safetensors", "scipy", "sklearn", "torch", "tqdm",
}  # fmt: skip


def test_importing_the_library_imports_nothing_slow():
    """Beyond what NumPy brings in: the three import in at most half its time more."""
    found = python(
        "import sys, numpy\n"
        "before = set(sys.modules)\n"
        "import autograd, nn, optim\n"
        "print(*(set(sys.modules) - before))"
    )
    assert "autograd.tensor" in found
    assert not SLOW & set(found)


@pytest.mark.parametrize("name", ["autograd", "nn", "optim"])
def test_each_package_imports_first(name):
    """No package counts on another having been imported before it."""
    assert python(f"import {name}; print({name}.__name__)") == [name]


def test_every_public_name_exists():
    import nn
    import optim

    for package in (autograd, nn, optim):
        assert len(set(package.__all__)) == len(package.__all__)
        assert [n for n in package.__all__ if not hasattr(package, n)] == []
