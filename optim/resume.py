"""What `fit` saves on the way, so that a run that was cut off goes on as if it had not been."""

import re
import signal
import threading
from pathlib import Path
from types import MethodType

import numpy as np

from .callbacks import Behind, Callback
from .checkpoint import CheckpointError, check_names, encoded, read, restore, save

STEP = re.compile(r"step-(\d{9,})\.safetensors")
BEST = "best.safetensors"


class Checkpoints(Callback):
    """Saves the parts of a run in a folder, and goes on from there.

    folder   gets ``step-000001200.safetensors``, all parts as they are behind that step; and
             ``best.safetensors``, the weights alone of the best epoch so far
    every    "epoch", or how many steps lie between two files
    keep     how many files are kept, besides the best
    parts    what a run consists of, by name, as in `save`
    same     plain state, about the arguments of `fit`, that must be as it was to go on

    Raises CheckpointError, before anything changes, for parts that cannot be saved, and where
    there is another run.

    As a context manager it has SIGTERM and Ctrl-C wait for the end of a step, where everything
    is saved: then training ends by SystemExit, or KeyboardInterrupt.  A second Ctrl-C does not
    wait.  Handlers of the program's own are left in place, and threads have none.
    """

    def __init__(self, folder, every, keep, resume, parts, same):
        self.folder, self.every, self.keep = Path(folder), _every(every), _natural("keep", keep)
        self.parts, self.same = parts, same
        self.signal, self.handlers = None, {}
        self.saved = self.best = None  # the place in the run, and the best epoch, last written
        encoded(self.folder, parts)
        self.folder.mkdir(parents=True, exist_ok=True)
        steps = self._steps()
        if steps and not resume:
            raise CheckpointError(
                self.folder, "", f"{steps[-1].name} is of another run; resume=True goes on with "
                f"it, and a new run needs a folder of its own"
            )  # fmt: skip
        for half in self.folder.glob(".*.safetensors.*.tmp"):  # of a process that was killed
            half.unlink()
        if steps:
            self._resume(steps[-1])

    def _resume(self, path):
        state = read(path)
        same = state.pop("same", None)
        if same != self.same:
            raise CheckpointError(path, "same", f"the run has {same}, and fit is given {self.same}")
        if state.keys() != self.parts.keys():
            raise CheckpointError(
                path, "", f"the run has the parts {', '.join(state)}, and fit is given "
                f"{', '.join(self.parts)}"
            )  # fmt: skip
        restore(path, state, self.parts)
        run = self.parts["run"]
        self.saved = _place(run)
        self.best = run.kept[0] if (self.folder / BEST).exists() else None

    def _steps(self):
        """The files of the run, the newest last."""
        found = [path for path in self.folder.iterdir() if STEP.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(STEP.fullmatch(path.name)[1]))

    # --- while training ---

    def on_step(self, run):
        if self.signal or (self.every != "epoch" and run.step % self.every == 0):
            self.save(run)
        self._leave()

    def on_epoch(self, run):
        if self.signal or self.every == "epoch":
            self.save(run)
        self._leave()

    def on_end(self, run):
        """Behind the last epoch."""
        self.save(run)
        self._leave()

    def save(self, run):
        """Write where the run stands, unless that has been done; then delete what is too old."""
        if self.saved == _place(run):
            return
        save(self.folder / f"step-{run.step:09}.safetensors", **self.parts, same=self.same)
        self.saved = _place(run)
        epoch, weights = run.kept
        if epoch != self.best:
            save(self.folder / BEST, model=weights)
            self.best = epoch
        for path in self._steps()[: -self.keep]:
            path.unlink()

    # --- signals ---

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for number, usual in (
                (signal.SIGTERM, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler),
            ):  # fmt: skip
                if signal.getsignal(number) == usual:
                    self.handlers[number] = signal.signal(number, self._noted)
        return self

    def __exit__(self, *problem):
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}
        if self.signal and problem[0] is None:  # it came behind the last step
            signal.raise_signal(self.signal)

    def _noted(self, number, frame):
        if self.signal == number == signal.SIGINT:
            self._leave()
        self.signal = number

    def _leave(self):
        number, self.signal = self.signal, None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if number:
            raise SystemExit(128 + number)


class Kept:
    """The state of several callbacks as that of one object.

    Those with ``state_dict`` and ``load_state_dict`` take part; functions, and objects without
    attributes, have nothing to keep.  CheckpointError for others.
    """

    def __init__(self, path, calls):
        self.owners = {}
        for i, call in enumerate(calls):
            owner = call.on_epoch if isinstance(call, Behind) else call
            owner = owner.__self__ if isinstance(owner, MethodType) else owner
            name = f"{i}.{getattr(owner, '__name__', type(owner).__name__)}"
            if hasattr(owner, "state_dict") and hasattr(owner, "load_state_dict"):
                self.owners[name] = owner
            elif attributes := set(getattr(owner, "__dict__", ())) - {"__wrapped__"}:
                raise CheckpointError(
                    path, f"callbacks/{name}", f"it has {', '.join(sorted(attributes))}, and "
                    f"needs state_dict() and load_state_dict(state) to be saved; of {{}}, if "
                    f"nothing of it is to be kept"
                )  # fmt: skip

    def state_dict(self):
        """name -> the state of each."""
        return {name: owner.state_dict() for name, owner in self.owners.items()}

    def load_state_dict(self, state):
        """Go on from `state` (ValueError for other callbacks)."""
        check_names("callbacks", self.owners, state)
        for name, owner in self.owners.items():
            owner.load_state_dict(state[name])


def check_parts(path, parts):
    """Raise CheckpointError for a part that is neither plain state nor can be given its own."""
    for name, part in parts.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise CheckpointError(
                path, name, f"a {type(part).__name__} cannot be saved: it needs state_dict() and "
                f"load_state_dict(state)"
            )  # fmt: skip


def _place(run):
    """Where a run stands: the same step may be within its epoch, or behind its end."""
    return run.epoch, run.step, run.totals.batches


def _every(every):
    return every if every == "epoch" else _natural("every", every)


def _natural(name, value):
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        also = ' or "epoch"' if name == "every" else ""
        raise ValueError(f"fit: {name} is a positive whole number{also}, not {value!r}")
    return int(value)
