"""Every example runs as a user runs it, reaches its figure and leaves what it promises."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLES = pathlib.Path(__file__).parent.parent / "examples"
FIGURES = {  # what the last line or lines must say
    "digits": r"test accuracy \S+ % \(must reach 97.0 %\)",
    "seq2seq_reverse": r"unseen words \S+ % right \(must reach 95.0 %\)",
    "siamese_digits": r"pairs of test images \S+ % right \(must reach 95.0 %\)",
    "linear_regression": r"largest error \S+ \(must be at most 0.05\)",
    "mnist_mlp": r"test accuracy \S+ % \(must reach 97.0 %\)",
    "mnist_cnn": r"test accuracy \S+ % \(must reach 97.5 % after 3 epochs\)",
    "cifar10_cnn": r"test accuracy \S+ % \(must reach 46.0 %\)",
    "california_housing": r"R² on the test rows \S+ \(must reach 0.75\)",
    "manual_backprop": r"bit for bit: True \(must be True\)",
    "char_lstm": r"loss \S+ nats a character, \S+ by guessing \(must be at most \S+\)",
    "char_gpt": r"loss on unseen text \S+ nats a character \(must be at most 2.3\)",
    "custom_layer": r"saved and loaded alike: True \(must be True\)",
    "resnet20_cifar10": r"test accuracy \S+ % \(must reach 28.0 %\)",
    "text_classification": r"same bits: True .*\nunseen phrases \S+ % right \(must reach 77.0 %\)",
    "unet_shapes": r"intersection over union \S+ \(must reach 0.70\)",
    "vae_digits": r"bound \S+ nats a test picture \(must be at most 25.2\)",
}
FOLDERS = {
    "mnist_mlp": "mnist",
    "mnist_cnn": "mnist",
    "cifar10_cnn": "cifar-10/cifar-10-batches-bin",
    "california_housing": "california-housing",
    "resnet20_cifar10": "cifar-10/cifar-10-batches-bin",
}
SLOW = ("mnist_mlp", "mnist_cnn", "cifar10_cnn", "resnet20_cifar10")


def run(name, folder, *arguments):
    """The finished process of an example, run in an empty folder."""
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error::RuntimeWarning",
            "-W",
            "error::UserWarning",
            EXAMPLES / f"{name}.py",
            *arguments,
        ],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


def passes(name, folder, *arguments):
    """Its output, once it has ended well and said its figure."""
    ended = run(name, folder, *arguments)
    assert ended.returncode == 0, f"{name}.py ended with {ended.returncode}:\n{ended.stdout[-2000:]}\n{ended.stderr}"
    assert re.search(FIGURES[name], ended.stdout), ended.stdout[-2000:]
    return ended.stdout


def test_every_example_has_its_test():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(FIGURES)


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_is_short_and_says_what_it_teaches(name):
    source = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 110
    assert re.match(r'""".+\n\nIt teaches ', source)
    assert f"python examples/{name}.py" in source


@pytest.mark.parametrize(
    "name",
    [
        "linear_regression",
        "manual_backprop",
        "custom_layer",
        "char_lstm",
        pytest.param("seq2seq_reverse", marks=pytest.mark.slow),
        pytest.param("unet_shapes", marks=pytest.mark.slow),
    ],
)
def test_runs_on_made_up_data(name, tmp_path):
    passes(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_char_gpt_learns_from_the_bundled_text(tmp_path):
    printed = passes("char_gpt", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert len(printed) > 300  # it has written something


def test_digits_writes_its_pictures(tmp_path):
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    pytest.importorskip("matplotlib", reason="digits.py draws with matplotlib")
    printed = passes("digits", tmp_path, "--out", "pictures")
    for name in ("digits_loss.png", "digits_predictions.png"):
        picture = tmp_path / "pictures" / name
        assert str(picture.resolve()) in printed
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_vae_digits_writes_its_picture(tmp_path):
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    pytest.importorskip("matplotlib", reason="vae_digits.py draws with matplotlib")
    printed = passes("vae_digits", tmp_path, "--out", "pictures")
    picture = tmp_path / "pictures" / "vae_digits.png"
    assert str(picture.resolve()) in printed
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 50_000


@pytest.mark.slow
def test_text_classification(tmp_path):
    pytest.importorskip("sklearn", reason="text_classification.py compares with scikit-learn")
    printed = passes("text_classification", tmp_path)
    assert "regression on words: 50.00 %" in printed
    assert list(tmp_path.iterdir()) == []


def test_siamese_digits(tmp_path):
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    passes("siamese_digits", tmp_path)


def test_digits_fails_where_it_misses_its_figure(tmp_path):
    pytest.importorskip("sklearn", reason="digits come with scikit-learn")
    pytest.importorskip("matplotlib", reason="digits.py draws with matplotlib")
    ended = run("digits", tmp_path, "--epochs", "1")
    assert ended.returncode == 1
    assert "the accuracy falls short" in ended.stderr


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in sorted(FOLDERS)]
)
def test_runs_on_real_data(name, tmp_path):
    data = os.environ.get("NPDL_DATA")
    if not data or not (pathlib.Path(data) / FOLDERS[name]).is_dir():
        pytest.skip(f"needs the real data: set NPDL_DATA to a folder that holds {FOLDERS[name]}")
    passes(name, tmp_path)
