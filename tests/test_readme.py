"""The README says what is true: its examples run, its links lead somewhere."""

import json
import pathlib
import re

import numpy as np
import pytest

from npdl import datasets

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_examples_run(monkeypatch, tmp_path, capsys):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (192, 28, 28), np.uint8), rng.integers(0, 10, 192, np.uint8)
    monkeypatch.setattr(datasets.mnist, "load_data", lambda: ((x, y), (x[:64], y[:64])))
    monkeypatch.chdir(tmp_path)
    namespace = {}
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    assert "gradient check: ok" in capsys.readouterr().out
    assert (tmp_path / "digits.npdl").exists()


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_links(link):
    assert link.startswith("https://") or (ROOT / link).exists()


def test_its_table_says_what_was_measured():
    """Each number to as many digits as it has there."""
    file = ROOT / "benchmarks" / "results.json"
    found = {row["row"]["name"]: row for row in json.loads(file.read_text(encoding="utf-8"))["rows"]}
    nets = {
        "MLP": "{}/mlp", "MNIST": "{}/mnist", "CIFAR": "{}/cifar", "VGG": "{}/vgg", "ResNet-20": "{}/resnet20",
        "character GPT": "sequence-{}/gpt", "character LSTM": "sequence-{}/lstm",
    }  # fmt: skip
    table = re.findall(r"^\| (.+): ([\d, ]+) \| (.+) ms \| (.+) \| (.+) \|$", README, re.MULTILINE)
    assert len(table) == 7
    for name, batches, *cells in table:
        net = next(row for start, row in nets.items() if name.startswith(start))
        for batch, *said in zip(*(cell.split(", ") for cell in (batches, *cells)), strict=True):
            train, infer = (found[f"{net.format(what)}/{batch}"] for what in ("train", "infer"))
            for text, value in zip(said, (1e3 * train["ours"]["median"], train["ratio"], infer["ratio"]), strict=True):
                digits = len(text.partition(".")[2])
                assert text == f"{value:.{digits}f}", f"{name}, batch {batch}"
