"""Nested containers of arrays: what the transformations take as arguments and give as results.

A tree is a list, tuple, namedtuple or dict of trees, None (empty), an object with a
``__tree__()`` method (a `nn.Module`), or a leaf: anything else.
"""


def flatten(tree):
    """``(leaves, rebuild)``: the leaves in order, and a function that puts others in their place.

    >>> leaves, rebuild = flatten({"w": 1.0, "b": [2.0, 3.0]})
    >>> leaves
    [1.0, 2.0, 3.0]
    >>> rebuild([10.0, 20.0, 30.0])
    {'w': 10.0, 'b': [20.0, 30.0]}
    """
    if hasattr(tree, "__tree__"):
        return tree.__tree__()
    parts, build = _open(tree)
    if parts is None:
        return [tree], lambda leaves: leaves[0]
    opened = [flatten(part) for part in parts]

    def rebuild(leaves):
        start, built = 0, []
        for part, inner in opened:
            built.append(inner(leaves[start : start + len(part)]))
            start += len(part)
        return build(built)

    return [leaf for part, _ in opened for leaf in part], rebuild


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
