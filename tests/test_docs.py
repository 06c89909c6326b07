"""Pages show code that is there: every block that follows a link to a file stands in that file."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_code_stands_in_its_files(page):
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^\[[^\]]+\]\(([^)]+)\)\n\n```\w+\n(.*?)```", text, re.MULTILINE | re.DOTALL)
    assert found
    for file, code in found:
        source = (page.parent / file).resolve().read_text(encoding="utf-8")
        left = iter(source.splitlines())
        for line in code.splitlines():  # in this order; lines in between may be left out
            assert any(line == other for other in left), f"{page.name}: not in {file}, or not in this place: {line!r}"
