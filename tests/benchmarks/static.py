"""`python -m tests.benchmarks.static`: the static stages beside other tools on real trees, and how their cost grows.

Every tree is copied into a scratch folder of its own, with lint left to nobody. Commands take turns, so that a busy
minute hits all of them; what is printed are medians, all series, ratios, and the memory of each command.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.benchmarks.generated import generate

TREES = ("lightning", "transformers")
QUICK = ("ruff", "ruff, again", "grimp", "pyflakes")
SLOW = ("pylint", "torchfix")  # minutes on transformers
SIZES = (10_000, 100_000, 1_000_000, 5_000_000)
_NO_LINT = 'per-file-ignores = { "**" = ["LNT"] }\n'
_GRIMP = "import grimp, sys; sys.path.insert(0, '.'); grimp.build_graph(sys.argv[1], cache_dir=None)"
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Taken:
    """What one run of a command took: wall and processor time of all its processes, memory of the largest."""

    wall_s: float
    processor_s: float
    largest_mib: float


@dataclass(slots=True)
class Series:
    """The runs of one command on one tree."""

    name: str
    command: Sequence[str]
    runs: list[Taken] = field(default_factory=list)

    @property
    def wall_s(self) -> float:
        return statistics.median(run.wall_s for run in self.runs)

    def line(self) -> str:
        walls = ", ".join(f"{run.wall_s:.2f}" for run in self.runs)
        processor = statistics.median(run.processor_s for run in self.runs)
        memory = max(run.largest_mib for run in self.runs)
        return f"{self.name:22s} {self.wall_s:8.2f} s wall  {processor:8.2f} s processor  {memory:6.0f} MiB  of {walls}"


def environment() -> dict[str, str]:
    """Return what commands are told: Python tools start from their own compiled modules, as they do once installed."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(command: Sequence[str], cwd: Path) -> Taken:
    """Run a command to its end, whatever it finds."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0  # it is waited for
    return Taken(time.perf_counter() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def peak_mib(command: Sequence[str], cwd: Path) -> float:
    """Return the most memory that a command and its children held together, shared pages counted once (PSS)."""
    process = subprocess.Popen(
        command, cwd=cwd, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    most, done = 0, threading.Event()

    def look() -> None:
        nonlocal most
        root = psutil.Process(process.pid)
        while not done.wait(_LOOK_EVERY_S):
            most = max(most, _held(root))

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    process.wait()
    done.set()
    watcher.join()
    return most / (1 << 20)


def _held(root: psutil.Process) -> int:
    held = 0
    try:
        for process in (root, *root.children(recursive=True)):
            held += int(process.memory_full_info().pss)
    except psutil.Error:
        return held  # one of them has just ended
    return held


def ours(tree: str, *stages: str) -> list[str]:
    chosen = [word for stage in stages for word in ("--stage", stage)]
    return [sys.executable, "-m", "verifier", "check", tree, *chosen, "-q"]


def commands(tree: str, names: Sequence[str]) -> Iterator[Series]:
    """Yield what is compared on a tree."""
    tool = [sys.executable, "-m"]
    checks = ["--disable=all", "--enable=cyclic-import,undefined-variable,used-before-assignment", "-j2"]
    others: Mapping[str, list[str]] = {
        "ruff": [*tool, "ruff", "check", "--isolated", "--select", "E9,F", "--no-cache", tree],
        "ruff, again": [*tool, "ruff", "check", "--isolated", "--select", "E9,F", tree],
        "grimp": [sys.executable, "-c", _GRIMP, tree],
        "pyflakes": [*tool, "pyflakes", tree],
        "pylint": [*tool, "pylint", "--rcfile=/dev/null", *checks, tree],
        "torchfix": [str(Path(sys.executable).parent / "torchfix"), "--select", "ALL", tree],
    }
    yield Series("stages 1 and 2", ours(tree, "syntax", "logic"))
    yield Series("stage 1", ours(tree, "syntax"))
    yield from (Series(name, others[name]) for name in names)


@contextmanager
def scratch(corpus: Path, tree: str) -> Iterator[Path]:
    """Copy the Python files of a tree to where nothing around them is a project."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        kept = shutil.ignore_patterns("__pycache__")
        shutil.copytree(corpus / tree, root / tree, ignore=kept)
        (root / "verifier.toml").write_text(_NO_LINT)
        yield root


def compare(corpus: Path, tree: str, names: Sequence[str], repetitions: int) -> dict[str, Series]:
    """Run everything in turn on one tree, and print it."""
    with scratch(corpus, tree) as root:
        texts = [path.read_bytes() for path in (root / tree).rglob("*.py")]
        lines = sum(text.count(b"\n") for text in texts)
        series = {item.name: item for item in commands(tree, names)}
        run(series["stages 1 and 2"].command, root)  # the first run writes compiled modules
        for turn in range(repetitions):
            for item in series.values():
                if turn == 0 or item.name not in SLOW:  # minutes each
                    item.runs.append(run(item.command, root))
        held = peak_mib(series["stages 1 and 2"].command, root)
    print(f"\n{tree}: {len(texts)} files, {lines:,} lines, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for item in series.values():
        print(f"  {item.line()}")
    own = series["stages 1 and 2"].wall_s
    print(
        "  " + ", ".join(f"{name} / ours = {item.wall_s / own:.2f}" for name, item in series.items() if name in names)
    )
    print(f"  all processes of ours together: {held:.0f} MiB at most")
    return series


def growth(sizes: Sequence[int]) -> list[tuple[int, Taken, float]]:
    """Run both stages over generated trees of growing size, and print time for each million lines and memory."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            lines = generate(root / "project", size)
            (root / "verifier.toml").write_text(_NO_LINT)
            taken = run(ours("project", "syntax", "logic"), root)
            held = peak_mib(ours("project", "syntax", "logic"), root)
        found.append((lines, taken, held))
        each = 1e6 / lines
        print(
            f"  {lines:>9,} lines {taken.wall_s:8.2f} s wall {taken.processor_s:8.2f} s processor"
            f"  {taken.processor_s * each:6.2f} s for a million  {held:6.0f} MiB"
        )
    return found


def installed(corpus: Path | None, folder: Path) -> Path:
    """Return a folder with the trees: the one given, else they are installed without what they depend on."""
    if corpus is not None:
        return corpus
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *TREES]
    subprocess.run(command, check=True)
    return folder


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.static", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=os.environ.get("VERIFY_CORPUS"), help="a folder with the trees")
    parser.add_argument("--trees", nargs="*", default=list(TREES))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--slow", nargs="*", default=["lightning"], help="the trees for pylint and torchfix")
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES), help="lines of the generated trees")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        corpus = installed(chosen.corpus, Path(folder))
        for tree in chosen.trees:
            compare(corpus, tree, (*QUICK, *(SLOW if tree in chosen.slow else ())), chosen.repetitions)
    if chosen.sizes:
        print("\ngenerated trees, one run each, and one more for memory")
        growth(chosen.sizes)


if __name__ == "__main__":
    main()
