"""The demo in a short setting: it learns, repeats itself, and writes what it says it writes."""

import importlib.util
from pathlib import Path

import pytest

DEMO = Path(__file__).parent.parent / "notebooks" / "demo.py"
EPOCHS = 6  # 96 % there; the full setting's 40 reach 98 %


@pytest.fixture(scope="module")
def demo():
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_demo_learns_digits_and_repeats_itself(demo, tmp_path):
    first = demo.main(epochs=EPOCHS, out=tmp_path / "first")
    second = demo.main(epochs=EPOCHS, out=tmp_path / "second")
    assert first > 0.93
    assert second == first
    for name in ("loss.png", "neuron.svg"):  # the curve shows every epoch's losses
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_the_demo_writes_the_files_it_names(demo, tmp_path, capsys):
    out = tmp_path / "new" / "folder"
    accuracy = demo.main(epochs=1, out=out)
    printed = capsys.readouterr().out
    assert {p.name for p in out.iterdir()} == {"loss.png", "neuron.svg"}
    for name, signature in {"loss.png": b"\x89PNG", "neuron.svg": b"<?xml"}.items():
        assert str(out / name) in printed
        assert (out / name).read_bytes().startswith(signature)
        assert (out / name).stat().st_size > 2000
    assert f"test accuracy {accuracy:.2%}" in printed
    assert "train accuracy" in printed and "validation accuracy" in printed


def test_the_data_is_split_without_overlap_and_scaled_on_the_training_set_only(demo):
    (x, y), (x_val, y_val), (x_test, y_test) = demo.digits()
    assert len(y) + len(y_val) + len(y_test) == 1797
    assert len(y_val) > 250 and len(y_test) > 350
    varying = x.std(0) > 0
    assert abs(x.mean(0)).max() < 1e-5
    assert abs(x.std(0)[varying] - 1).max() < 1e-4
    assert abs(x_test.mean(0)).max() > 1e-3  # scaled by itself this would be 0
    rows = [{row.tobytes() for row in part} for part in (x, x_val, x_test)]
    assert not rows[0] & rows[1] and not rows[0] & rows[2] and not rows[1] & rows[2]


def test_evaluation_leaves_the_model_as_it_was(demo):
    train_set, val_set, _ = demo.digits()
    model = demo.build()
    before = model.state_dict()
    first = demo.evaluate(model, *val_set)
    assert demo.evaluate(model, *val_set) == first
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    assert model.training
