"""The programs of kernels/lesson: they compile, and check themselves."""

import pathlib
import shutil
import subprocess

import pytest

LESSON = pathlib.Path(__file__).parents[2] / "kernels" / "lesson"


@pytest.mark.skipif(not LESSON.exists(), reason="needs the source tree")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc: apt install gcc")
def test_every_step_of_the_matrix_product_gives_the_same(tmp_path):
    program = tmp_path / "steps"
    command = ["gcc", "-O2", "-march=native", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, LESSON / "matmul_steps.c", "-o", program, "-lm"], check=True)
    result = subprocess.run([program], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert len(result.stdout.splitlines()) == 6
