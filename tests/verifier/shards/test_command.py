"""`--shard` and `verify merge`: the same reports as a whole run makes, and no report without all the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.verifier.changes.repository import ENVIRONMENT, Repository, repository
from verifier.writing.checksums import LIST

if TYPE_CHECKING:
    from tests.verifier.command import Command, Done

TASKS = ("T1", "T2", "T3")
CONFIG = "".join(
    f'[tool.verifier.tasks.{name}]\nfiles = ["{files}"]\n[[tool.verifier.tasks.{name}.acceptance]]\n'
    'text = "it compiles"\nproven-by = ["syntax:compilation", "syntax:scope"]\n'
    for name, files in zip(TASKS, ("pkg/good.py", "pkg/bad.py", "pkg/*.py"), strict=True)
)
GOOD = "x = 1  # verify: allow[SCP001] nothing to excuse\nPASSWORD = None\n"
BAD = "import torch\nprint(nmae)\nold()  # verify: allow[SCP001] made by exec\n"
STAGES = ("--stage", "1", "--stage", "logic", "--stage", "security", "--no-progress")


@pytest.fixture
def repo(command: Command, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    command.write("pyproject.toml", CONFIG)
    command.write(".gitignore", "out/\n")
    command.write("pkg/good.py", GOOD)
    command.write("pkg/bad.py", BAD)
    return repository(command.folder)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the repository and the reports of its shards are kept once they were made."""
    return tmp_path_factory.mktemp("kept") / "made"


@pytest.fixture
def shards(command: Command, repo: Repository, kept: Path) -> list[Path]:
    """The folders of the three tasks' reports, made by two shards."""
    if not kept.exists():
        codes = [_shard(command, number).code for number in (1, 2)]
        assert codes == [1, 1]
        shutil.copytree(command.folder, kept)
    shutil.rmtree(command.folder)
    shutil.copytree(kept, command.folder)
    return [command.folder / "out/1", command.folder / "out/2"]


def _shard(command: Command, number: int, *more: str, of: int = 2) -> Done:
    return command("--all", "--shard", f"{number}/{of}", "--output", f"out/{number}", *STAGES, *more)


def _report(folder: Path, task: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((folder / task / "report.json").read_text())
    read["tool"]["command"] = read["tool"]["command"].partition(" --output")[0]
    for stage in read["stages"]:
        stage["duration_s"] = 0
    return read


def test_the_joined_reports_are_those_of_a_whole_run(command: Command, shards: list[Path]) -> None:
    whole = command("--all", "--output", "out/whole", *STAGES)
    merged = command("merge", *shards, "--output", "out/merged", "--format", "json,md,sarif,junit,html,intoto")
    assert (merged.code, whole.code) == (1, 1)
    assert merged.err == "verify: merged 3 tasks of 2 shards: 1 PASS, 2 BLOCK\n"
    for task in TASKS:
        assert _report(command.folder / "out/merged", task) == _report(command.folder / "out/whole", task)
        assert not {"report.md", "report.sarif"} - {
            path.name for path in (command.folder / "out/merged" / task).iterdir()
        }
    assert [line for line in merged.out.splitlines() if line.startswith(("PASS", "BLOCK"))] == [
        line for line in whole.out.splitlines() if line.startswith(("PASS", "BLOCK"))
    ]


def test_a_joined_report_holds_for_its_tree(command: Command, shards: list[Path]) -> None:
    command("merge", *shards, "--output", "out/merged", "--format", "json", "-q")
    assert command("check-report", "out/merged/T1/report.json").code == 0


def test_each_shard_says_what_is_its_share(command: Command, repo: Repository) -> None:
    assert _shard(command, 1).err.splitlines()[0] == "verify: shard 1/2: 2 of 3 tasks"
    last = _shard(command, 4, of=4)
    assert (last.code, last.out) == (0, "")
    assert last.err == "verify: shard 4/4: none of 3, so there is nothing to do\n"
    assert not (command.folder / "out/4").exists()


def _lose(folder: Path) -> None:
    shutil.rmtree(folder / "out/2")
    (folder / "out/2").mkdir()


def _lose_one(folder: Path) -> None:
    shutil.rmtree(folder / "out/1/T3")


def _double(folder: Path) -> None:
    shutil.copytree(folder / "out/1/T1", folder / "out/2/T1")


def _alter(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def alter(folder: Path) -> None:
        path = folder / "out/2/T2/report.json"
        document = json.loads(path.read_text())
        change(document)
        path.write_text(json.dumps(document))
        (path.parent / LIST).unlink()

    return alter


def _pass(report: dict[str, Any]) -> None:
    report["verdict"] = "PASS"


def _other_commit(report: dict[str, Any]) -> None:
    report["source"]["commit"] = "0" * 40


def _dirty(report: dict[str, Any]) -> None:
    report["source"]["dirty"] = True


def _other_file(report: dict[str, Any]) -> None:
    report["source"]["files"][0]["sha256"] = "0" * 64


def _other_version(report: dict[str, Any]) -> None:
    report["tool"]["version"] = "9"


def _other_options(report: dict[str, Any]) -> None:
    report["tool"]["shard"]["choices"]["strict"] = True


def _other_tasks(report: dict[str, Any]) -> None:
    report["tool"]["shard"]["tasks"].append("T4")


def _other_place(report: dict[str, Any]) -> None:
    report["tool"]["shard"]["number"] = 1


def _no_shard(report: dict[str, Any]) -> None:
    del report["tool"]["shard"]


def _no_tasks(report: dict[str, Any]) -> None:
    report["tool"]["shard"]["tasks"] = []


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_lose, "out/2: there is no report.json below it, so nothing is proven"),
        (_lose_one, "reports are missing, so nothing is proven: shard 1/2 (task T3); run what is missing"),
        (_double, "task T1 is given twice"),
        (_alter(_pass), "its stages make the verdict BLOCK, not PASS; run its shard again"),
        (_alter(_other_commit), "do not belong together: the commit is "),
        (_alter(_dirty), "do not belong together: the state of the tree (clean or changed since the commit) is clean"),
        (_alter(_other_file), "pkg/bad.py is not the same file in "),
        (_alter(_other_version), "the version of verify is "),
        (_alter(_other_options), "come from two runs: the choice of options differs"),
        (_alter(_other_tasks), "come from two runs: the list of tasks differs"),
        (_alter(_other_place), "task T2 is not one of shard 1/2, as it says"),
        (_alter(_no_shard), "it is no report of a shard; only what `--shard i/n` wrote can be merged"),
        (_alter(_no_tasks), "names no task, or one twice"),
    ],
)
def test_what_is_not_one_whole_run_is_refused(
    command: Command, shards: list[Path], harm: Callable[[Path], None], told: str
) -> None:
    harm(command.folder)
    done = command("merge", *shards, "--output", "out/merged")
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert len(done.err.splitlines()) == 1
    assert not (command.folder / "out/merged").exists()


def test_an_altered_report_is_refused_by_its_checksum(command: Command, shards: list[Path]) -> None:
    path = shards[1] / "T2/report.json"
    path.write_text(path.read_text().replace('"title": "T2"', '"title": "T0"'))
    done = command("merge", *shards)
    assert done.code == 2
    assert "report.json was altered after it was written" in done.err


def test_shards_of_another_commit_are_refused(command: Command, repo: Repository) -> None:
    _shard(command, 1)
    repo.write("other.py", "y = 1\n")
    repo.commit()
    _shard(command, 2)
    done = command("merge", "out/1", "out/2")
    assert done.code == 2
    assert "do not belong together: the commit is " in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["merge"], "Missing argument"),
        (["merge", "nowhere"], "nowhere: there is no such file or folder"),
        (["merge", "pkg"], "pkg: there is no report.json below it"),
        (["merge", "pyproject.toml"], "pyproject.toml: it is not JSON"),
        (["--all", "--shard", "3/2"], "--shard 3/2: give the number of the shard and how many there are"),
        (
            ["--all", "--shard", "1/2", "--baseline", "b", "--update-baseline", "why"],
            "--update-baseline needs a whole run",
        ),
        (["check", "pkg", "--shard", "1/2"], "No such option"),
    ],
)
def test_wrong_use_is_one_sentence(command: Command, repo: Repository, arguments: list[str], told: str) -> None:
    done = command(*arguments)
    assert done.code == 2
    assert told in done.err


def test_what_has_changed_is_dealt_out_with_the_files_of_no_task(command: Command, repo: Repository) -> None:
    repo.write("pkg/good.py", GOOD + "y = 1\n")
    repo.write("loose.py", "print(nmae)\n")
    for number, told in ((1, "2 of 3 tasks"), (2, "1 of 3 tasks")):
        done = command(
            *("--changed-since", "HEAD", "--shard", f"{number}/2", "--stage", "syntax", "--output", f"out/{number}")
        )
        assert f"verify: shard {number}/2: {told}\n" in done.err
    merged = command("merge", "out", "--output", "joined", "--format", "json", "-q")
    assert merged.code == 1
    assert {path.name for path in (command.folder / "joined").iterdir()} == {"T1", "T3", "check"}
