"""`verify check` again: nothing changed, one file changed, beside a run without the cache. Asserts no time."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]
REPETITIONS = 5
_COMMAND = (
    *(sys.executable, "-P", "-m", "verifier", "check", "transformers"),
    *("--stage", "syntax", "--stage", "logic", "-q"),
)
# changed files: one that many import, one that nobody does, one that speaks of AMP
_CHANGED = ("utils/generic.py", "models/bert/modeling_bert.py", "trainer.py")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of transformers, as `VERIFY_CORPUS` has it or as it is installed anew."""
    folder = tmp_path_factory.mktemp("cached")
    if "VERIFY_CORPUS" in os.environ:
        shutil.copytree(Path(os.environ["VERIFY_CORPUS"], "transformers"), folder / "transformers")
    else:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--target",
            str(folder),
            "transformers",
        ]
        subprocess.run(command, check=True)
    time.sleep(3)  # until the times of the files are old enough to be believed
    return folder


def _seconds(tree: Path, *options: str) -> tuple[float, bytes]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["VERIFY_CACHE_DIR"] = str(tree.parent / f"{tree.name}-cache")
    begin = time.perf_counter()
    done = subprocess.run([*_COMMAND, *options], cwd=tree, env=environment, capture_output=True, check=False)
    return time.perf_counter() - begin, done.stdout


def _told(what: str, series: list[float]) -> None:
    runs = ", ".join(f"{value:.2f}" for value in series)
    print(f"  {what:34s} median {statistics.median(series):6.2f} s  of {runs}")


def test_again(tree: Path) -> None:
    """Every report is compared with one made without the cache."""
    files = sum(1 for _ in tree.rglob("*.py"))
    print(f"\n{files} files, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    cold = [_seconds(tree, "--no-cache") for _ in range(2)]
    _told("without the cache", [seconds for seconds, _ in cold])
    _told("with an empty one", [_seconds(tree)[0]])
    again = [_seconds(tree) for _ in range(REPETITIONS)]
    _told("nothing changed", [seconds for seconds, _ in again])
    assert {said for _, said in again} == {cold[0][1]}
    for name in _CHANGED:
        path = tree / "transformers" / name
        text = path.read_text("utf-8")
        series = []
        for number in range(2):
            path.write_text(f"{text}\n\ndef added_{number}(x):\n    return x\n", "utf-8")
            series.append(_seconds(tree)[0])
        _told(f"{name} changed", series)
        said = _seconds(tree)[1]
        assert said == _seconds(tree, "--no-cache")[1]
        path.write_text(text, "utf-8")
