"""The tasks of this repository: T035 and T036 cover `amp_runtime`, and each criterion of T035 rests on gates."""

from __future__ import annotations

from pathlib import Path

from verifier.api import task_sources
from verifier.config import load_config
from verifier.plugins import load_plugins

ROOT = Path(__file__).parents[2]
PLUGINS = load_plugins()
CONFIG = load_config(ROOT, gates={stage.name: stage.gates for stage in PLUGINS.stages}, codes=PLUGINS.rules)
TASK = CONFIG.tasks["T035"]


APART = {"benchmark", "calibration", "compile", "emulation", "instrument", "lightning", "probes"}


def test_t036_covers_what_t035_leaves_of_the_library():
    covered, tested = (
        {file.path for file in task_sources(CONFIG, CONFIG.tasks[name]).python() if file.path.startswith("amp_runtime")}
        for name in ("T035", "T036")
    )
    assert covered | tested == {path.relative_to(ROOT).as_posix() for path in (ROOT / "amp_runtime").rglob("*.py")}
    assert {path.split("/")[1] for path in tested} == APART
    assert not {path for path in covered if path.split("/")[1] in APART}


def test_the_eight_criteria_of_the_task_are_lines_of_its_acceptance():
    numbers = [line.text.partition(".")[0].rstrip("ab") for line in TASK.acceptance if line.text[0].isdigit()]
    assert sorted(set(numbers)) == [str(number) for number in range(1, 9)]


def test_it_trains_every_workload_of_the_library():
    from amp_runtime import workloads

    names = {name.rpartition(":")[2] for name in TASK.workloads}
    assert names == set(workloads.__all__) - {"Workload"}


def test_no_test_of_the_library_is_left_out_between_the_two_tasks():
    declared = [Path(path) for name in ("T035", "T036") for path in CONFIG.tasks[name].tests]
    written = {path.relative_to(ROOT) for path in (ROOT / "tests" / "amp_runtime").rglob("test_*.py")}
    left_out = {path for path in written if not any(path.is_relative_to(root) for root in declared)}
    assert left_out == set()
