"""Sweeps: the matrix of all derivatives of a recorded function, by any of several ways.

A sweep gives the matrix of m rows (all results) and n columns (all arguments), numbered through;
or ``(values, rows, columns)`` of the elements that may differ from zero.
"""

import math
from functools import partial

import numpy as np

from . import reverse
from .batch import Batch
from .forward import push_forward
from .graph import history, levels
from .lazy import computed
from .matrices import all_seeds, at_once, block_ranges, jacobian_blocks, swept
from .primitive import Wrapper
from .rules.indexing import scatter


class Graph:
    """A recorded function's graph, and sweeps through it.

    run          the recorded call; chunk: how many seeds are swept at a time
    inputs       the arguments' nodes, arguments: their values, n elements in all
    outputs      the results' nodes (None: depends on nothing), values: theirs, m elements in all
    nodes        the operations, oldest first
    """

    def __init__(self, run, chunk_size):
        self.run, self.chunk = run, chunk_size or at_once(run)
        self.inputs = [variable.node for variable in run.variables]
        self.arguments = [node.value for node in self.inputs]
        self.outputs, self.values = run.nodes, run.values
        self.m, self.n = total(self.values), total(self.arguments)
        reached = history(*filter(None, self.outputs))
        self.nodes = [node for node in reversed(reached) if node.primitive is not None]

    def push_all(self, sources, seeded, targets, reached):
        """The matrix of derivatives of `targets` by `sources`, nodes with these values."""
        rows = swept(lambda seeds: self.push(sources, seeds, targets), seeded, reached, self.chunk)
        return _joined(rows, total(seeded)).T

    def pull_all(self, targets, seeded, sources, reached, nodes):
        """The same, by way of cotangents, which are pulled through `nodes`, oldest first."""
        pull = partial(self.pull, targets, sources=sources, nodes=nodes)
        return _joined(swept(pull, seeded, reached, self.chunk), total(seeded))

    def push(self, sources, seeds, targets):
        """The tangents of `targets` for those of `sources`; None where nothing arrives."""
        return push_forward(targets, dict(zip(sources, seeds, strict=True)))

    def pull(self, targets, seeds, sources, nodes):
        """The cotangents of `sources` for those of `targets`; None where nothing arrives."""
        sums = reverse.seeds_by_node(zip(targets, seeds, strict=True))
        found = reverse.pull_back(nodes[::-1], sums)
        return [
            reverse.as_gradient(node, found[node]) if node in found else None for node in sources
        ]

    def by_way_of(self, cut, at, pushes):
        """The product of the two Jacobians before and after a cut."""
        values = [node.value for node in cut]
        before, after = self.nodes[:at], self.nodes[at:]
        if pushes[0]:
            inner = self.push_all(self.inputs, self.arguments, cut, values)
        else:
            inner = self.pull_all(cut, values, self.inputs, self.arguments, before)
        if pushes[1]:
            outer = self.push_all(cut, values, self.outputs, self.values)
        else:
            outer = self.pull_all(self.outputs, self.values, cut, values, after)
        return outer @ inner

    def decompressed(self, rows, columns, colours, dense, by_rows):
        """The elements at (rows, columns), read off sums of lines of one colour."""
        lines, across = (rows, columns) if by_rows else (columns, rows)
        apart = np.isin(across, dense)
        values, order = [], []
        if not apart.all():
            seeds = np.arange(colours.max() + 1)[:, None] == colours
            at = np.flatnonzero(~apart)
            values.append(self.sums(seeds, by_rows)[colours[lines[at]], across[at]])
            order.append(at)
        if len(dense):
            seeds = dense[:, None] == np.arange(self.n if by_rows else self.m)
            at = np.flatnonzero(apart)
            place = np.zeros(dense.max() + 1, int)
            place[dense] = np.arange(len(dense))
            values.append(self.sums(seeds, not by_rows)[place[across[at]], lines[at]])
            order.append(at)
        if not values:
            return np.zeros(0), rows, columns
        order = np.concatenate(order)
        return np.concatenate(values), rows[order], columns[order]

    def sums(self, seeds, by_rows):
        """Sums of rows (pulled) or of columns (pushed): a line for each line of `seeds`."""
        seeded, reached = self.arguments, self.values
        if by_rows:
            seeded, reached = reached, seeded
        chunks = []
        for start in range(0, len(seeds), self.chunk):
            some, level = seeds[start : start + self.chunk], next(levels)
            batches = []
            for (first, last), x in zip(block_ranges(seeded), seeded, strict=True):
                block = some[:, first:last].astype(getattr(x, "dtype", float))
                block = block.reshape(len(some), *np.shape(x))
                batches.append(Batch(x.beside(block) if isinstance(x, Wrapper) else block, level))
            if by_rows:
                found = self.pull(self.outputs, batches, self.inputs, self.nodes)
            else:
                found = self.push(self.inputs, batches, self.outputs)
            pairs = zip(found, reached, strict=True)
            # what is lazy is computed: Dask reads no elements by their numbers
            lines = computed(*(all_seeds(c, level, len(some), x) for c, x in pairs))
            chunks.append(_joined(lines, len(some)))
        return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)

    def dense(self, found):
        """What a sweep found, in the structure of results and arguments."""
        if isinstance(found, tuple):
            values, rows, columns = found
            if isinstance(values, np.ndarray):
                found = np.zeros((self.m, self.n), values.dtype)
                found[rows, columns] = values
            else:
                found = scatter(values, indices=((rows, columns),), shape=(self.m, self.n))
        return jacobian_blocks(self.run, self.arguments, found)

    def sparse(self, found, pattern):
        """``(values, (rows, columns))`` of what a sweep found."""
        if isinstance(found, tuple):
            return found[0], found[1:]
        if pattern is None:
            pattern = tuple(np.indices((self.m, self.n)).reshape(2, -1))
        return found[pattern], pattern


def _joined(blocks, count):
    """So many lines of derivatives by (or of) several values, side by side."""
    flat = [np.reshape(b, (count, math.prod(np.shape(b)[1:]))) for b in blocks]
    if len(flat) == 1:
        return flat[0]
    return np.concatenate(flat, axis=1) if flat else np.zeros((count, 0))


def total(values):
    """How many elements the values have in all."""
    return sum(map(elements, values))


def elements(value):
    """How many elements a value has; of a tuple of arrays, all of them have."""
    if type(value) is float:
        return 1
    if isinstance(value, (list, tuple)):
        return total(value)
    return value.size if type(value) is np.ndarray else math.prod(np.shape(value))
