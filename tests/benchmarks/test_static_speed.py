"""`verify check` beside other tools on real and on growing trees, in one run: medians and ratios. Asserts no time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stages.logic.texts import AMP_TEXT
from tests.benchmarks.static import QUICK, SIZES, SLOW, TREES, compare, growth, installed

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
REPETITIONS = 3


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources: a folder named by VERIFY_CORPUS, else installed without their dependencies into a scratch folder."""
    if "VERIFY_CORPUS" in os.environ:
        return Path(os.environ["VERIFY_CORPUS"])
    return installed(None, tmp_path_factory.mktemp("corpus"))


# Both tools start from their own compiled modules, as they do once installed.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _seconds(command: list[str], cwd: Path) -> float:
    begin = time.perf_counter()
    subprocess.run(
        command, cwd=cwd, env=_ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    return time.perf_counter() - begin


@pytest.mark.parametrize("tree", TREES)
def test_check_beside_other_tools(tree: str, corpus: Path) -> None:
    """Everything is run and printed; that pylint and torchfix read transformers takes too long for it."""
    series = compare(corpus, tree, (*QUICK, *(SLOW if tree == "lightning" else ())), REPETITIONS)
    assert all(item.runs for item in series.values())


def test_cost_grows_with_the_lines_alone() -> None:
    found = growth(SIZES)
    assert [lines >= size for (lines, _, _), size in zip(found, SIZES, strict=True)] == [True] * len(SIZES)


def test_stage_2_on_files_without_amp(corpus: Path, tmp_path: Path) -> None:
    """What `verify check` takes longer with stage 2, on the files of the corpus that do not speak of AMP."""
    for path in (corpus / "transformers").rglob("*.py"):
        data = path.read_bytes()
        if not AMP_TEXT.within(data):
            target = tmp_path / path.relative_to(corpus)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    command = [sys.executable, "-m", "verifier", "check", ".", "-q"]
    times: dict[str, list[float]] = {"stage 1": [], "stages 1 and 2": []}
    for _ in range(REPETITIONS):
        times["stage 1"].append(_seconds([*command, "--stage", "syntax"], tmp_path))
        times["stages 1 and 2"].append(_seconds(command, tmp_path))
    print(f"\n{sum(1 for _ in tmp_path.rglob('*.py'))} files without AMP")
    for name, series in times.items():
        print(f"  {name:14s} median {statistics.median(series):7.2f} s")


# stage 2 in this process, with or without the suspicions about code that nothing in sight runs in half precision
_PASS = """
import sys, time
import stages.logic.run as run
from verifier.cli import main
kind, tree, out = sys.argv[1:]
doubtful, spent = run.doubtful, []
def timed(*arguments):
    begin = time.process_time()
    found = list(doubtful(*arguments)) if kind == "with" else []
    spent.append(time.process_time() - begin)
    return iter(found)
run.doubtful = timed
sys.argv[1:] = ["check", tree, "--stage", "logic", "--jobs", "1", "--output", out, "--format", "json", "-q"]
begin = time.process_time()
try:
    main()
finally:
    print(time.process_time() - begin, sum(spent))
"""


def test_what_suspicions_cost(corpus: Path, tmp_path: Path) -> None:
    """Processor time of stage 2 on transformers, of which the pass over files that do not speak of AMP, and without."""
    took: dict[str, list[tuple[float, float]]] = {"with": [], "without": []}
    for turn in range(REPETITIONS):
        for kind in ("with", "without") if turn % 2 else ("without", "with"):
            command = [sys.executable, "-c", _PASS, kind, "transformers", str(tmp_path)]
            done = subprocess.run(command, cwd=corpus, env=_ENVIRONMENT, capture_output=True, text=True, check=False)
            total, spent = map(float, done.stdout.split()[-2:])
            took[kind].append((total, spent))
    medians = {kind: statistics.median(total for total, _ in series) for kind, series in took.items()}
    share = statistics.median(spent / (total - spent) for total, spent in took["with"])
    print(f"\nwith {medians['with']:.2f} s, without {medians['without']:.2f} s of processor time")
    print(f"the pass itself {share:.1%}")


@pytest.mark.parametrize("arguments", [["--help"], ["check", "."]], ids=["help", "five-file-check"])
def test_start_up(arguments: list[str], tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"module{number}.py").write_text(
            f"import math\n\n\ndef f{number}(x):\n    return math.sin(x)\n" * 20
        )
    command = [sys.executable, "-m", "verifier", *arguments]
    _seconds(command, tmp_path)
    series = sorted(_seconds(command, tmp_path) for _ in range(15))
    bare = sorted(_seconds([sys.executable, "-c", "pass"], tmp_path) for _ in range(15))
    print(f"\n{' '.join(arguments)}: median {series[7]:.3f} s, of which interpreter start {bare[7]:.3f} s")
