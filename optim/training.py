"""Training: the loop everybody writes, and `fit`, which writes it for you.

The loop itself is short, and always at hand when `fit` is not what you want:

    loader = nn.data.Loader(x_train, y_train, batch_size=32, shuffle=True)
    for epoch in range(epochs):
        for x, y in loader:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()

`fit` is that loop with what a real run wants around it: validation and metrics, a history, early
stopping, schedules, clipping, progress, and an end that leaves the best weights also after Ctrl-C
or a loss that is no number any more.

    history = optim.fit(model, (x, y), nn.cross_entropy, optimizer, epochs=100,
                        validation=(x_val, y_val), metrics=[accuracy], patience=10)
    history.plot()

batch   the arrays that one step reads: ``*inputs, target``, examples on the first axis
run     what callbacks are given: where training stands
"""

import copy
import math
import sys
from contextlib import contextmanager, nullcontext
from itertools import islice

import numpy as np

from autograd import audit
from autograd.lazy import computed
from autograd.primitive import is_foreign, number, telling
from autograd.repeat import Memo
from nn.data import Loader
from nn.module import evaluating, modes_kept

from .callbacks import Behind, Callback, Clipping, Ratios, Run, Stepping
from .checkpoint import Generators, check_names
from .clipping import summed
from .history import History, LearningRates
from .resume import Checkpoints, Kept, check_parts

__all__ = ["evaluate", "fit", "lr_find", "predict"]

AT_ONCE = 256  # examples evaluated at a time: fewer calls than in training, and little memory


@telling
def fit(
    model, data, loss, optimizer, epochs=10, *,
    batch_size=32, shuffle=True, generator=None, validation=None, metrics=None, monitor=None,
    patience=None, schedule=None, schedule_every="epoch", clip_norm=None, clip_value=None,
    ratios=False, callbacks=(), progress=True, checkpoint=None, every="epoch", keep=3, resume=False,
    cluster=None,
):  # fmt: skip
    """Train a Module in place; returns the `History`.

    data         (x, y), a tuple of arrays with examples on the first axis, or an iterable that
                 gives the batches of an epoch every time, such as a Loader or a list of them.  Of
                 Dask's arrays a batch at a time is computed, out of all blocks if shuffled
    loss         loss(model(x), y), the mean over a batch; for None, model.loss(x, y), as
                 autoencoders have it (their data is a tuple (x,) of one)
    optimizer    holds the model's parameters, or some; one made before the model got other layers
                 is refused, unless what it lacks is frozen
    epochs       how often to go through the data, at most
    batch_size, shuffle, generator   of the Loader made of arrays; the last batch is short
    validation   data as above, evaluated behind every epoch without dropout and recording
    metrics      functions (outputs, targets) -> number, as in `optim.metrics`, of the data of a
                 whole epoch: a list, or a dict by name; higher is better.  Those of the training
                 data are of the outputs as training saw them, with dropout
    monitor      the history's name that tells the best epoch: names that end in "loss" are to
                 fall, others to rise; "val_loss" if None, "loss" without validation
    patience     early stopping: end after so many epochs without a new best, and go back to the
                 best epoch's weights (lectures A, C, D); None trains all epochs and keeps the last
    schedule     of `optim.schedules`, such as a LambdaLR: its ``step`` is called ...
    schedule_every   ... behind every "epoch" or every "step"; a ReduceLROnPlateau gets `monitor`'s
                 value, or the batch's loss
    clip_norm, clip_value   ceilings on the gradient's norm and on each of its components
    ratios       whether to record ‖Δw‖ / ‖w‖ of every parameter, in one step of each epoch
    callbacks    functions of the `Run`, called behind every epoch, or `Callback`s
    cluster      a client of dask.distributed: its workers hold the data, an array's part each, and
                 compute the gradients, see `optim.distributed`.  The loss has to be a mean over the
                 examples, all of one weight (ValueError where the parts' mean is another number),
                 and the model without batch norm.  Dropout draws the same with as many workers
    progress     whether to show it: by tqdm, or a line an epoch where that is missing
    checkpoint   a folder to save the run in, as `optim.save` does: all that training goes by,
                 behind `every` epoch or so many steps, and at the end.  The last `keep` files are
                 kept, and in ``best.safetensors`` the weights of the best epoch
    resume       whether to go on with the run that the folder has, if it has one

    Ctrl-C ends training, with the history so far and the weights of the best epoch.  So does a
    loss or gradient that is not finite, by FloatingPointError, before it spoils the weights: the
    step is run again under `autograd.audit`, and the error tells in which operation it began; it
    has the ``history`` and the ``report``.  Whatever is thrown, weights, statistics and draws are
    those behind a whole step: what a step had begun is put back.  Modules stay in the mode,
    training or evaluation, they were in.  The same generator, and the same `autograd.seed` for
    weights and dropout, give the same run.

    A run that is resumed, with the same arguments in a new process, goes on bit by bit as if it
    had not been cut off, also in the midst of an epoch.  With a checkpoint, Ctrl-C and SIGTERM
    save behind the step under way; SIGTERM then ends by SystemExit, and a second Ctrl-C waits for
    nothing.  Data, schedules and callbacks of one's own take part by ``state_dict()`` and
    ``load_state_dict(state)``; for what cannot be saved CheckpointError is raised at once.  What
    functions refer to, flags such as frozen parameters, and NumPy's global generator are not saved.

    >>> import nn, optim, autograd
    >>> autograd.seed(0)
    >>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    >>> model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
    >>> optimizer = optim.Adam(model.parameters(), lr=0.1)
    >>> history = fit(
    ...     model,
    ...     (x, np.array([0, 1, 1, 0])),
    ...     nn.cross_entropy,
    ...     optimizer,
    ...     epochs=50,
    ...     progress=False,
    ... )
    >>> predict(model, x).argmax(axis=1)
    array([0, 1, 1, 0])
    """
    monitor = monitor or ("loss" if validation is None else "val_loss")
    metrics = _named(metrics)
    _check("fit", model, optimizer, loss)
    _check_settings(loss, metrics, epochs, patience, schedule_every)
    recorded = ["loss", *metrics]
    recorded += [f"val_{name}" for name in recorded if validation is not None]
    if monitor not in recorded:
        raise ValueError(f"fit: monitor={monitor!r} is not recorded; {', '.join(recorded)} are")
    shards = None
    if cluster is not None:
        from .distributed import Shards

        shards = Shards(cluster, model, data, loss)
        data = shards.numbered
    batches = _batches(data, batch_size, shuffle, generator)
    held_out = None if validation is None else _batches(validation, AT_ONCE)
    history = History(monitor)
    run = Run(model, optimizer, history, Totals(metrics))
    own = [c if isinstance(c, Callback) else Behind(c) for c in callbacks] + [Ratios()] * ratios
    calls = list(own)
    if clip_norm is not None or clip_value is not None:
        calls.insert(0, Clipping(clip_norm, clip_value))
    if schedule is not None:
        calls.append(Stepping(schedule, schedule_every, optimizer))
    keeper = None
    if checkpoint is not None:  # last of all: it may put the run where another one was
        parts = _parts(run, batches, held_out, schedule, generator, Kept(checkpoint, own))
        check_parts(checkpoint, parts)
        same = {"monitor": monitor, "recorded": recorded}
        keeper = Checkpoints(checkpoint, every, keep, resume, parts, same)
    with (
        modes_kept(model),
        keeper or nullcontext(),
        _progress(progress, epochs, history.epochs) as show,
    ):
        calls += [Behind(show), *([keeper] if keeper else [])]
        try:
            stopped = _epochs(
                run, epochs, patience, batches, held_out, loss, metrics, calls, shards
            )
            if keeper:
                keeper.on_end(run)
            history.stopped = stopped
        except KeyboardInterrupt:
            history.stopped = "interrupted"
        except FloatingPointError as error:
            history.stopped, error.history = "not finite", history
            raise
        finally:
            history.cut()
            # where an interrupt came between a best epoch and its copy, the weights are the best
            epoch, weights = run.kept
            abrupt = history.stopped in ("interrupted", "not finite")
            if (patience is not None or abrupt) and epoch and epoch == history.best:
                model.load_state_dict(weights)
    return history


def _epochs(run, epochs, patience, batches, held_out, loss, metrics, calls, shards):
    """Train epoch by epoch; returns why it ended, as `History.stopped` has it."""
    model, history = run.model, run.history
    while not (reason := _over(run, epochs, patience)):
        run.epoch += not run.totals.batches  # a resumed run may be in the midst of its epoch
        model.train()
        row = _epoch(run, batches, shards or loss, calls)
        if held_out is not None:
            found = evaluate(model, held_out, loss, metrics)
            row |= {f"val_{name}": value for name, value in found.items()}
        history.append(row | {"lr": run.lr})
        if history.best == run.epoch:
            run.kept = run.epoch, model.state_dict()
        for call in calls:
            call.on_epoch(run)
    return reason


def _over(run, epochs, patience):
    """Why training is over, None while it is not: between two epochs it may be."""
    if run.totals.batches:
        return None
    if run.stopping:
        return "callback"
    if patience is not None and run.epoch - (run.history.best or 0) >= patience:
        return "patience"
    return "epochs" if run.epoch >= epochs else None


def _epoch(run, batches, loss, calls):
    """One pass over the data, or what is left of it: the row of its mean loss and metrics."""
    optimizer, totals = run.optimizer, run.totals
    for count, batch in enumerate(batches, totals.batches + 1):
        run.step += 1
        memo = Memo()  # what this step draws and assigns
        try:
            outputs = _gradients(run, count, batch, loss, memo)
            for call in calls:
                call.on_gradients(run)
        except BaseException:  # Ctrl-C, too: a step is taken as a whole, or has not begun
            memo.undo()
            raise
        run.lr = float(optimizer.lr)
        optimizer.step()
        totals.add(run.loss, outputs, batch)
        for call in calls:
            call.on_step(run)
    if not totals.batches:
        raise ValueError(f"fit: the data gave no batches in epoch {run.epoch}")
    row = totals.row()
    totals.clear()
    return row


def _gradients(run, count, batch, loss, memo):
    """Evaluate and differentiate the loss of a batch, all of it finite; returns the outputs."""
    model, optimizer = run.model, run.optimizer
    optimizer.zero_grad()
    with memo.first():
        value, outputs = _loss(model, loss, batch)
    value = _differentiable(value)
    run.loss = float(value.item())
    if not np.isfinite(run.loss):
        raise _not_finite(run, f"loss is {run.loss}", count, batch, loss, memo)
    value.backward()
    if not _all_finite(optimizer.params):
        named = model.named_parameters()
        where = next((name for name, p in named if not _finite(p)), "a parameter")
        what = f"gradient of {where} is not finite"
        raise _not_finite(run, what, count, batch, loss, memo)
    return outputs


def _parts(run, batches, held_out, schedule, generator, callbacks):
    """All that a run goes by, by the names of the parts it is saved as."""
    owners = [run.model] if generator is None else [run.model, generator]
    parts = {
        "model": run.model, "optimizer": run.optimizer, "schedule": schedule, "run": run,
        "history": run.history, "data": batches.cursor,
        "validation": held_out and held_out.cursor, "generators": Generators(*owners),
        "callbacks": callbacks,
    }  # fmt: skip
    return {name: part for name, part in parts.items() if part is not None}


@telling
def evaluate(model, data, loss=None, metrics=None, batch_size=AT_ONCE):
    """{"loss": mean over the examples, and every metric by its name}, in evaluation mode.

    data, loss, metrics   as in `fit`
    """
    totals = Totals(_named(metrics))
    _check_loss("evaluate", model, loss)
    with evaluating(model):
        for batch in _batches(data, batch_size):
            value, outputs = _loss(model, loss, batch)
            totals.add(number(_array(value)), outputs, batch)
    if not totals.batches:
        raise ValueError("evaluate: the data gave no batches")
    return totals.row()


@telling
def predict(model, x, batch_size=AT_ONCE):
    """The model's outputs for all examples of x, in evaluation mode, as one plain array.

    x   an array, or a tuple of the model's arguments
    """
    inputs = x if isinstance(x, tuple) else (x,)
    with evaluating(model):
        return np.concatenate([_array(model(*b)) for b in _batches(inputs, batch_size)])


@telling
def lr_find(
    model, data, loss, optimizer, low=1e-6, high=1.0, steps=100, *,
    batch_size=32, generator=None, smoothing=0.8,
):  # fmt: skip
    """Which learning rates make the loss fall: `LearningRates`, with a suggestion and a plot.

    Trains copies of model and optimizer while the rate grows geometrically from `low` to `high`
    in so many `steps`, and ends early where the loss has grown to four times its least (Smith
    2017).  The model and optimizer are left as they are; groups with a rate of their own keep it.

    smoothing   decay of the running average of the losses, bias corrected
    """
    if not 0 < low < high < np.inf or steps < 3:
        raise ValueError(
            f"lr_find: 0 < low < high and at least 3 steps wanted, got low={low}, high={high}, "
            f"steps={steps}"
        )
    if not 0 <= smoothing < 1:
        raise ValueError(f"lr_find: smoothing lies in [0, 1), got {smoothing}")
    _check("lr_find", model, optimizer, loss)
    batches = _batches(data, batch_size, True, generator)
    model, optimizer = copy.deepcopy((model, optimizer))  # together: they share the parameters
    model.train()
    found, stream = LearningRates(smoothing), _cycle(batches)
    with np.errstate(over="ignore", invalid="ignore"):  # the last steps are to go too far
        for lr in np.geomspace(low, high, steps).tolist():
            optimizer.lr = lr
            optimizer.zero_grad()
            value, _ = _loss(model, loss, next(stream))
            if not np.isfinite(number := float(value.item())):
                break
            found.append(lr, number)
            if found.smooth[-1] > 4 * min(found.smooth) > 0:
                break
            value.backward()
            optimizer.step()
    if not found.lrs:
        raise FloatingPointError(
            f"lr_find: the loss is {number} in the first step already: the data or the weights "
            f"hold nan or inf, or are far too large"
        )
    return found


# --- data, modes, results -------------------------------------------------------------------------


def _batches(data, batch_size, shuffle=False, generator=None):
    """`data` as an iterable of tuples that can be gone through again and again."""
    if isinstance(data, tuple):
        return _Tuples(Loader(*data, batch_size=batch_size, shuffle=shuffle, generator=generator))
    if isinstance(data, _Tuples):
        return data
    if hasattr(data, "shape") or not hasattr(data, "__iter__"):
        raise TypeError(
            f"data is a tuple of arrays, such as (x, y), or an iterable of batches such as a "
            f"Loader, not a {type(data).__name__}"
        )
    if iter(data) is data:
        raise TypeError(
            f"a {type(data).__name__} can be gone through once only; every epoch needs the data "
            f"anew: give arrays, a list of batches, or a Loader"
        )
    return _Tuples(data)


class _Tuples:
    """Every batch as a tuple, also where it is one array."""

    def __init__(self, batches):
        self.batches, self.given, self.skipped = batches, 0, 0

    def __iter__(self):
        self.given, self.skipped = self.skipped, 0
        for batch in islice(self.batches, self.given, None):
            self.given += 1
            batch = tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)
            yield computed(*batch)  # a batch is in memory, where the data is Dask's too
        self.given = 0

    @property
    def cursor(self):
        """What knows where it stands: the batches, or this, which counts those of a list."""
        return self if isinstance(self.batches, list) else self.batches

    def state_dict(self):
        """How many batches of an epoch have been given; taken in a loop's body."""
        return {"given": self.given}

    def load_state_dict(self, state):
        """Skip those batches in the next loop."""
        check_names("the list of batches", self.state_dict(), state)
        self.given = self.skipped = state["given"]


def _cycle(batches):
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ValueError("lr_find: the data gave no batches")


def _loss(model, loss, batch):
    """The loss of a batch, and the outputs, None where the model computes its own loss."""
    if hasattr(loss, "numbered"):  # on a cluster
        return loss.of(model, batch)
    if loss is None:
        return model.loss(*batch), None
    if len(batch) < 2:
        raise ValueError(
            "data gives one array a batch; give (x, y), or loss=None for a model with a loss of "
            "its own"
        )
    *inputs, target = batch
    outputs = model(*inputs)
    value = loss(outputs, target)
    if np.shape(value):
        raise ValueError(
            f"the loss is one number, the mean over the batch; got an array of shape "
            f"{np.shape(value)}"
        )
    return value, outputs


def _differentiable(value):
    """`value`, a loss; TypeError for one that has no derivative."""
    if not hasattr(value, "backward"):
        raise TypeError(
            f"fit: the loss is a {type(value).__name__}, which has no derivative; compute it "
            f"of the model's outputs by NumPy's functions, without .data or float()"
        )
    return value


class Totals:
    """Sums over the batches of an epoch, and what there are metrics to compute of.

    metrics   name -> function (outputs, targets)
    batches   how many have been added
    """

    _numbers, _arrays = ("batches", "examples", "loss"), ("outputs", "targets")

    def __init__(self, metrics):
        self.wanted = metrics
        self.clear()

    def clear(self):
        """Begin an epoch."""
        self.batches, self.examples, self.loss = 0, 0, 0.0
        self.outputs, self.targets = [], []

    def add(self, loss, outputs, batch):
        """Take in a batch: its mean loss, the model's outputs, and its arrays."""
        n = int(np.shape(batch[0])[0])
        self.batches, self.examples = self.batches + 1, self.examples + n
        self.loss += n * loss
        if self.wanted:
            self.outputs.append(_on_host(_array(outputs)))
            self.targets.append(_on_host(batch[-1]))

    def row(self):
        """{"loss": the mean over the examples, and every metric by its name}."""
        row = {"loss": self.loss / self.examples}
        if self.wanted:
            outputs, targets = np.concatenate(self.outputs), np.concatenate(self.targets)
            row |= {name: float(metric(outputs, targets)) for name, metric in self.wanted.items()}
        return row

    def state_dict(self):
        """Numbers, and all outputs and all targets as one array each."""
        state = {name: getattr(self, name) for name in self._numbers}
        return state | {
            name: np.concatenate(getattr(self, name)) if getattr(self, name) else None
            for name in self._arrays
        }

    def load_state_dict(self, state):
        """Go on from `state`; nothing changes unless all of it fits (ValueError)."""
        check_names("Totals", self.state_dict(), state)
        for name in self._numbers:
            setattr(self, name, state[name])
        for name in self._arrays:
            setattr(self, name, [] if state[name] is None else [state[name]])


def _named(metrics):
    if metrics is None:
        return {}
    if isinstance(metrics, dict):
        return dict(metrics)
    if callable(metrics):
        metrics = [metrics]
    metrics = list(metrics)
    names = [getattr(metric, "__name__", type(metric).__name__) for metric in metrics]
    if len(set(names)) < len(names):
        raise ValueError(
            f"metrics need names of their own, these are called {', '.join(names)}; give a dict"
        )
    return dict(zip(names, metrics, strict=True))


def _array(outputs):
    if isinstance(outputs, (tuple, list)):
        raise TypeError(
            f"the model gives a {type(outputs).__name__} of {len(outputs)}, and one array is "
            f"wanted; of a recurrent layer's (outputs, state), a module around it gives the first"
        )
    if hasattr(outputs, "requires_grad"):
        return outputs.data
    return outputs if is_foreign(outputs) else np.asarray(outputs)


def _on_host(a):
    """`a` as NumPy's array, which is what metrics compute with; CuPy's `get` copies it."""
    return a.get() if is_foreign(a) and hasattr(a, "get") else np.asarray(a)


def _check(what, model, optimizer, loss):
    if not hasattr(model, "named_parameters"):
        raise TypeError(f"{what}: the model is a Module, not a {type(model).__name__}")
    if isinstance(optimizer, type) or not hasattr(optimizer, "params"):
        raise TypeError(
            f"{what}: the optimizer is one such as optim.Adam(model.parameters()), not "
            f"{optimizer!r}"
        )
    held, own = ({id(p) for p in params} for params in (optimizer.params, model.parameters()))
    if not held & own:
        raise ValueError(f"{what}: the optimizer holds none of the model's parameters")
    lacking = [n for n, p in model.named_parameters() if p.requires_grad and id(p) not in held]
    if lacking and held - own:
        raise ValueError(
            f"{what}: the optimizer holds parameters that are not the model's, and lacks "
            f"{', '.join(lacking)}: make it after the last change of the model's layers, and "
            f"freeze what is not to be trained"
        )
    _check_loss(what, model, loss)


def _check_settings(loss, metrics, epochs, patience, schedule_every):
    taken = [name for name in metrics if name in ("loss", "lr") or name.startswith("val_")]
    if taken:
        raise ValueError(
            f"fit: {taken[0]!r} cannot be a metric's name, the history has one already; "
            f"give metrics as a dict with other names"
        )
    if loss is None and metrics:
        raise ValueError("fit: metrics need a loss(outputs, targets)")
    for metric in metrics.values():
        if not callable(metric):
            raise TypeError(f"fit: a metric is a function (outputs, targets), not {metric!r}")
    if not isinstance(epochs, (int, np.integer)) or epochs < 1:
        raise ValueError(f"fit: epochs is a positive whole number, not {epochs!r}")
    if patience is not None and (not isinstance(patience, (int, np.integer)) or patience < 1):
        raise ValueError(f"fit: patience is a positive whole number or None, not {patience!r}")
    if schedule_every not in ("epoch", "step"):
        raise ValueError(f'fit: schedule_every is "epoch" or "step", not {schedule_every!r}')


def _check_loss(caller, model, loss):
    if loss is None and not hasattr(model, "loss"):
        raise TypeError(
            f"{caller}: loss=None wants a model with a loss; {type(model).__name__} has none"
        )
    if loss is not None and not callable(loss):
        raise TypeError(f"{caller}: the loss is a function (outputs, targets), not {loss!r}")


# --- numbers that are none ------------------------------------------------------------------------


def _all_finite(parameters):
    """Whether all gradients that are there are finite."""
    # products first: they are finite in all but hopeless cases, and need no second arrays
    squares = summed(np.vdot(p.grad, p.grad) for p in parameters if p.grad is not None)
    return math.isfinite(squares) or all(map(_finite, parameters))


def _finite(p):
    """Whether the gradient is finite, or not there."""
    return p.grad is None or bool(np.all(np.isfinite(p.grad)))


def _not_finite(run, what, count, batch, loss, memo):
    """The error that stops training; its ``report`` tells where in the step it began."""
    report = _audited(run, loss, batch, memo)
    text, found = _trouble(run, what, count, batch), report.of("nan", "inf", "gradient")
    if found:
        text += f"\nIt began here, where the step was run again under audit:\n{found[0]}"
    error = FloatingPointError(text)
    error.report = report
    return error


def _audited(run, loss, batch, memo):
    """The audit of a step that is run again, with the same draws, and changes nothing."""
    parameters = [*run.model.parameters(), *run.optimizer.params]
    gradients = [p.grad for p in parameters]
    report = audit()
    try:
        with report, memo.again(), np.errstate(all="ignore"):
            _loss(run.model, loss, batch)[0].backward()
    except Exception:  # the error at hand comes first
        pass
    for p, gradient in zip(parameters, gradients, strict=True):
        p.grad = gradient
    return report


def _trouble(run, what, count, batch):
    """What to say of a loss or gradient that is not finite."""
    text = f"fit: the {what} in epoch {run.epoch}, batch {count} (step {run.step})"
    for i, a in enumerate(batch):
        a = a if hasattr(a, "dtype") else np.asarray(a)
        if a.dtype.kind == "f" and not np.isfinite(a).all():
            return f"{text}: array {i} of the batch holds nan or inf; clean the data"
    for name, p in run.model.named_parameters():
        if not np.isfinite(p.data).all():
            return f"{text}: {name} holds nan or inf; build the model anew"
    return (
        f"{text}; try a smaller learning rate (it is {run.optimizer.lr:.3g}), clip_norm=1.0, or "
        f"inputs scaled to unit variance"
    )


# --- progress -------------------------------------------------------------------------------------


@contextmanager
def _progress(wanted, epochs, done):
    """What shows where a run stands: a bar of tqdm's, or a line an epoch where that is missing."""
    if not wanted:
        yield lambda run: None
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield lambda run: print(
            f"epoch {run.epoch}/{epochs}",
            *(f"{name} {text}" for name, text in _shown(run.history).items()),
            sep="  ",
            file=sys.stderr,
        )
        return
    with tqdm(total=epochs, initial=done, unit="epoch") as bar:

        def show(run):
            bar.set_postfix(_shown(run.history), refresh=False)
            bar.update()

        yield show


def _shown(history):
    """The last epoch's numbers, as text."""
    return {name: f"{values[-1]:.3g}" for name, values in history.items() if name != "lr"}
