"""Texts say which rules look at a file; how many processes search them and read makes no difference."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from stages.logic.stage import STAGE
from stages.logic.survey import survey
from stages.logic.suspects import Spoken
from stages.logic.watch import watchers
from tests.builders import run_stage
from verifier.api import Bad, RunOptions, SourceFile

SPOKEN = Spoken(float16=True, low=True, pure=False)
FEW, MANY = 3, 120  # files; from a hundred on, work is spread


def write(root: Path, count: int) -> list[str]:
    """Write the faults that the rules show as examples, and files with nothing wrong up to a number."""
    texts = [
        textwrap.dedent(example.code).lstrip("\n")
        for rule in STAGE.rules
        for example in rule.examples
        if isinstance(example, Bad) and "# ---" not in example.code
    ][: count // 2]
    texts += ["import torch\n\n\ndef scale(x):\n    return x * 2\n"] * (count - len(texts))
    for number, text in enumerate(texts):
        (root / f"m{number:03}.py").write_text(text, "utf-8")
    return [f"m{number:03}.py" for number in range(count)]


@pytest.mark.parametrize("count", [FEW, MANY])
def test_any_number_of_processes_finds_the_same(count: int, tmp_path: Path) -> None:
    paths = write(tmp_path, count)
    alone, two, three = (run_stage(STAGE, tmp_path, paths, options=RunOptions(jobs=jobs)) for jobs in (1, 2, 3))
    assert alone.findings == two.findings == three.findings
    assert alone.gates == two.gates == three.gates
    assert alone.facts == two.facts == three.facts


def test_texts_are_searched_alike_in_other_processes(tmp_path: Path) -> None:
    files = [SourceFile(path, tmp_path / path) for path in write(tmp_path, MANY)]
    one, two = (survey(files, watchers(), SPOKEN, jobs=jobs, progress=lambda _: None) for jobs in (1, 2))
    assert one == two
    assert list(one) == list(two) == [file.path for file in files]


def test_words_in_prose_wake_no_rule(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text('"""Scaler and autocast, backward and float16."""\n\nx = 1\n')
    (said,) = survey(
        [SourceFile("a.py", tmp_path / "a.py")], watchers(), SPOKEN, jobs=1, progress=lambda _: None
    ).values()
    assert said.speaks
    assert (said.steps, said.low, said.inspected) == (False, False, ())
