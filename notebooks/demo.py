"""Can a small network, differentiated by us, learn to read real digits?  ``make demo``

Trains an MLP with batch norm and dropout on scikit-learn's 1,797 handwritten digits, prints its
accuracy, and draws the loss curve and one small expression graph into ``out/``.
"""

import time
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

import autograd
import nn
import optim
from autograd import Tensor
from autograd.show import draw

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SEED = 0
BATCH = 64


def digits():
    """(x, y) of train, validation and test; scaled by what the training set shows alone."""
    x, y = load_digits(return_X_y=True)
    x_rest, x_test, y_rest, y_test = train_test_split(
        x, y, test_size=0.2, stratify=y, random_state=SEED
    )
    x_train, x_val, y_train, y_val = train_test_split(
        x_rest, y_rest, test_size=0.2, stratify=y_rest, random_state=SEED
    )
    scaler = StandardScaler().fit(x_train)
    return [
        (scaler.transform(x).astype(np.float32), y)
        for x, y in ((x_train, y_train), (x_val, y_val), (x_test, y_test))
    ]


def build():
    """64 pixels -> 10 digits."""
    return nn.Sequential(
        nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(128, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(64, 10),
    )  # fmt: skip


def evaluate(model, x, y):
    """(loss, accuracy) without dropout, by the running statistics."""
    model.eval()
    with autograd.no_grad():
        logits = model(x)
        loss = nn.cross_entropy(logits, y).item()
    model.train()
    return loss, float(np.mean(np.argmax(logits, axis=1) == y))


def train(model, train_set, val_set, epochs):
    """Minimize the cross-entropy with Adam; returns the mean losses of each epoch."""
    x, y = train_set
    optimizer = optim.Adam(model.parameters(), lr=2e-3)
    shuffle = np.random.default_rng(SEED)
    history = {"train": [], "validation": []}
    for _ in (progress := tqdm(range(epochs), desc="training", unit="epoch")):
        order = shuffle.permutation(len(x))
        losses = []
        for start in range(0, len(x), BATCH):
            rows = order[start : start + BATCH]
            optimizer.zero_grad()
            loss = nn.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        history["train"].append(np.mean(losses))
        val_loss, accuracy = evaluate(model, *val_set)
        history["validation"].append(val_loss)
        progress.set_postfix(loss=f"{losses[-1]:.3f}", validation=f"{accuracy:.1%}")
    return history


def plot(history, path):
    """The loss curves."""
    fig, ax = plt.subplots(figsize=(6, 3.5))
    for name, losses in history.items():
        ax.plot(range(1, len(losses) + 1), losses, label=name)
    ax.set(xlabel="epoch", ylabel="cross-entropy", yscale="log", title="Digits: MLP, Adam")
    ax.legend()
    fig.tight_layout()
    fig.savefig(path, dpi=120)
    plt.close(fig)


def expression():
    """One neuron, small enough to draw."""
    w, x = Tensor(0.8, name="w"), Tensor(1.5, name="x")
    b = Tensor(-0.4, name="b")
    y = np.tanh(w * x + b)
    y.name = "y"
    return y


def main(epochs=40, out=Path("out")):
    """Train, report, draw; returns the test accuracy."""
    start = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    autograd.seed(SEED)
    train_set, val_set, test_set = digits()
    model = build()
    print(model)
    history = train(model, train_set, val_set, epochs)
    accuracies = [evaluate(model, *part)[1] for part in (train_set, val_set, test_set)]
    for name, accuracy in zip(("train", "validation", "test"), accuracies, strict=True):
        print(f"{name:>10} accuracy {accuracy:.2%}")
    plot(history, out / "loss.png")
    picture = draw(expression()).save(out / "neuron.svg")
    print(f"{time.perf_counter() - start:.1f} s; wrote {out / 'loss.png'} and {picture}")
    return accuracies[-1]


if __name__ == "__main__":
    main()
