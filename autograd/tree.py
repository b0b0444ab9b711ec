"""Nested containers of arrays: what the transformations take as arguments and give as results.

A tree is a list, tuple, namedtuple or dict of trees, None (empty), an object with a
``__tree__()`` method (a `nn.Module`), or a leaf: anything else.
"""


def flatten(tree, by_value=True):
    """``(leaves, rebuild)``: the leaves in order, and a function that puts others in their place.

    by_value   whether a Module's parameters are taken by value, or as the Tensors they are

    >>> leaves, rebuild = flatten({"w": 1.0, "b": [2.0, 3.0]})
    >>> leaves
    [1.0, 2.0, 3.0]
    >>> rebuild([10.0, 20.0, 30.0])
    {'w': 10.0, 'b': [20.0, 30.0]}
    """
    if hasattr(tree, "__tree__"):
        return tree.__tree__() if by_value else tree.__tree__(by_value=False)
    parts, build = _open(tree)
    if parts is None:
        return [tree], lambda leaves: leaves[0]
    opened = [flatten(part, by_value) for part in parts]

    def rebuild(leaves):
        start, built = 0, []
        for part, inner in opened:
            built.append(inner(leaves[start : start + len(part)]))
            start += len(part)
        return build(built)

    return [leaf for part, _ in opened for leaf in part], rebuild


def tree_map(f, tree, *rest):
    """A tree like `tree` with ``f(leaf, ...)`` of its leaves and those in their places in `rest`.

    Of a Module the leaves are its trainable parameters' arrays; the result is one like it with
    plain arrays, as derivatives are (`nn.Module.update` takes them over).  Raises ValueError for
    trees of different structure, and says where.

    >>> tree_map(lambda p, g: p - 0.1 * g, {"w": 1.0, "b": [2.0]}, {"w": 5.0, "b": [10.0]})
    {'w': 0.5, 'b': [1.0]}
    """
    if not callable(f):
        raise TypeError(f"tree_map: f is a function, not a {type(f).__name__}")
    leaves, rebuild = flatten(tree)
    others = [leaves_like(tree, other) for other in rest]
    return rebuild([f(*each) for each in zip(leaves, *others, strict=True)])


def paths(tree, prefix=""):
    """How to write each leaf, in the order of `flatten`: ``["['w']", "['b'][0]"]``."""
    if hasattr(tree, "__tree__"):
        names = getattr(tree, "leaf_names", lambda: range(len(tree.__tree__()[0])))()
        return [f"{prefix}.{name}" for name in names]
    parts, _ = _open(tree)
    if parts is None:
        return [prefix]
    keys = tree.keys() if isinstance(tree, dict) else range(len(parts))
    return [p for k, part in zip(keys, parts, strict=True) for p in paths(part, f"{prefix}[{k!r}]")]


def leaves_like(example, tree, path=""):
    """The leaves of `tree`, each in the place of the leaf of `example` that it belongs to.

    Lists and tuples are alike, and so are dicts whose keys come in another order.  Raises
    ValueError for containers that differ otherwise, and says where.

    >>> leaves_like({"w": 1.0, "b": [2.0]}, {"b": (6.0,), "w": 5.0})
    [5.0, 6.0]
    """
    if _kind(example, tree) != _kind(tree, example):
        raise ValueError(
            f"{path or 'all together'} is {_kind(tree, example)} in the place of "
            f"{_kind(example, tree)}"
        )
    if hasattr(example, "__tree__"):
        return flatten(tree)[0]
    parts, _ = _open(example)
    if parts is None:
        return [tree]
    keys = example if isinstance(example, dict) else range(len(parts))
    return [x for k in keys for x in leaves_like(example[k], tree[k], f"{path}[{k!r}]")]


def _kind(tree, other):
    """What must be equal of two trees whose leaves belong together, in words."""
    if hasattr(tree, "__tree__"):
        kind = f"a {type(tree).__name__}"
        same = type(tree) is type(other) and paths(tree) == paths(other)
        return kind if same else f"{kind} with the leaves {', '.join(p[1:] for p in paths(tree))}"
    if tree is None:
        return "None"
    if isinstance(tree, dict):
        return f"a dict with the keys {', '.join(sorted(map(repr, tree)))}"
    if isinstance(tree, (list, tuple)):
        kind = type(tree).__name__ if hasattr(tree, "_fields") else "sequence"
        return f"a {kind} of length {len(tree)}"
    return "an array or number"


def _open(tree):
    """The children of a container and how to build one like it; (None, None) for a leaf."""
    if tree is None:
        return [], lambda parts: None
    if isinstance(tree, dict):
        keys = list(tree)
        return list(tree.values()), lambda parts: dict(zip(keys, parts, strict=True))
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return list(tree), lambda parts: type(tree)(*parts)
    if isinstance(tree, (list, tuple)):
        return list(tree), lambda parts: tuple(parts) if isinstance(tree, tuple) else list(parts)
    return None, None
