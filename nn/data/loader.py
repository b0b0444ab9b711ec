"""Minibatches in a seeded order, with a cursor that can be saved and taken up again."""

import numpy as np

from autograd.lazy import check_known
from autograd.rules.random import generator_or_default

from ..checks import check_flag, check_positive


class Loader:
    """Minibatches of arrays whose first axis counts the examples: ⌈n/K⌉ an epoch (lecture A).

    arrays       one or more arrays of n examples each, such as x and y
    batch_size   K; the last batch of an epoch has what is left
    shuffle      whether every epoch goes through the examples in an order of its own
    generator    what the seed of those orders is drawn from, once, at construction

    Every ``for`` is one epoch, and gives tuples (or arrays, if given one array alone).  The
    order of an epoch depends on the loader's seed and the epoch's number only, so that two
    numbers say where a run stands, whatever else draws from the generator.  After
    `load_state_dict` the next ``for`` takes up the rest of the epoch the state was taken in.

    >>> loader = Loader(np.arange(5), batch_size=2)
    >>> for batch in loader:
    ...     print(batch)
    [0 1]
    [2 3]
    [4]
    """

    def __init__(self, *arrays, batch_size=32, shuffle=False, generator=None):
        if not arrays:
            raise TypeError("Loader: give one or more arrays, such as x and y")
        # what does not index as NumPy does, such as a table whose rows have labels, is copied
        try:
            arrays = [a if hasattr(a, "__array_function__") else np.asarray(a) for a in arrays]
        except ValueError as error:  # ragged
            raise ValueError(f"Loader: {error}") from None
        check_known(arrays)
        shapes = [tuple(a.shape) for a in arrays]
        if not all(shapes) or len({shape[0] for shape in shapes}) != 1 or not shapes[0][0]:
            raise ValueError(
                f"Loader: arrays with the same number of examples, at least one, on their first "
                f"axis wanted; got shapes {', '.join(map(str, shapes))}"
            )
        check_positive("Loader", batch_size=batch_size)
        check_flag("Loader", shuffle=shuffle)
        self.arrays, self.batch_size = tuple(arrays), int(batch_size)
        self.shuffle = bool(shuffle)
        self.seed = int(generator_or_default(generator).integers(2**63)) if shuffle else 0
        self.epoch, self.batch = 0, 0  # the epoch, and how many of its batches have been given
        self._resumed = False

    @property
    def examples(self):
        """n, the number of examples."""
        return self.arrays[0].shape[0]

    def __len__(self):
        return -(-self.examples // self.batch_size)

    def __iter__(self):
        if self.batch and not self._resumed:  # an epoch was broken off
            self.epoch, self.batch = self.epoch + 1, 0
        self._resumed = False
        epoch, n, size = self.epoch, self.examples, self.batch_size
        order = np.random.default_rng([self.seed, epoch]).permutation(n) if self.shuffle else None
        for batch in range(self.batch, len(self)):
            self.epoch, self.batch = epoch, batch + 1  # before the batch is used, that a state
            # taken in the loop's body goes on behind it
            rows = slice(batch * size, min((batch + 1) * size, n))
            rows = rows if order is None else order[rows]
            parts = tuple(a[rows] for a in self.arrays)
            yield parts if len(parts) > 1 else parts[0]
        self.epoch, self.batch = epoch + 1, 0

    def state_dict(self):
        """Where the loader stands, as plain numbers; taken in a loop's body, behind its batch."""
        return {
            "seed": self.seed, "epoch": self.epoch, "batch": self.batch,
            "batch_size": self.batch_size, "examples": self.examples, "shuffle": self.shuffle,
        }  # fmt: skip

    def load_state_dict(self, state):
        """Go on exactly where `state` was taken.

        Raises ValueError, and changes nothing, for the state of a loader of other data or
        settings.
        """
        own = self.state_dict()
        problems = [f"missing {key}" for key in own if key not in state]
        problems += [f"unexpected {key}" for key in state if key not in own]
        problems += [
            f"{key} is {state[key]}, the loader's {own[key]}"
            for key in ("batch_size", "examples", "shuffle")
            if key in state and state[key] != own[key]
        ]
        for key in ("seed", "epoch", "batch"):
            if key in state and not (isinstance(state[key], (int, np.integer)) and state[key] >= 0):
                problems.append(f"{key} is {state[key]!r}, not a natural number")
            elif key == "batch" and state.get(key, 0) > len(self):
                problems.append(f"batch is {state[key]} of {len(self)}")
        if problems:
            raise ValueError(f"load_state_dict of Loader: {'; '.join(problems)}")
        self.seed, self.epoch, self.batch = (int(state[k]) for k in ("seed", "epoch", "batch"))
        self._resumed = True

    def __repr__(self):
        shapes = ", ".join(str(tuple(a.shape)) for a in self.arrays)
        return f"Loader({shapes}, batch_size={self.batch_size}, shuffle={self.shuffle})"
