"""Two real processes over gloo train one model with `fit`."""

import json
import os
from pathlib import Path

import pytest

from amp_runtime.retention import latest_checkpoint
from tests.amp_runtime import warm

SCRIPT = Path(__file__).with_name("fit_on_two_ranks.py")


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    options = {"env": {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}, "warn": "default"}
    running = [warm.start(SCRIPT, str(rank), folder, **options) for rank in (0, 1)]
    try:
        said = [process.communicate(timeout=200)[1] for process in running]
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [0, 0], said
    results = [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]
    return folder, results, said


def test_ctrl_c_at_one_process_ends_both_at_the_same_step(seen):
    _, results, _ = seen
    cut = [result["cut"] for result in results]
    assert [len(part["losses"]) for part in cut] == [5, 5]
    assert [part["ended"] for part in cut] == ["interrupted by Ctrl-C after step 5"] * 2
    assert all(part["interrupted"] for part in cut)


def test_both_go_on_from_the_one_checkpoint_as_if_nothing_had_been(seen):
    _, results, _ = seen
    for result in results:
        assert result["cut"]["losses"] + result["resumed"]["losses"] == result["straight"]["losses"]
        assert result["resumed"]["weights"] == result["straight"]["weights"]
        assert len(result["straight"]["losses"]) == 12
    assert results[0]["straight"]["weights"] == results[1]["straight"]["weights"]


def test_only_the_first_process_writes_and_speaks(seen):
    folder, _, said = seen
    assert latest_checkpoint(folder / "straight").name == "step-0000000012"
    header, *rows = (folder / "straight.csv").read_text().splitlines()
    steps = [row.split(",")[0] for row in rows if row.split(",")[header.split(",").index("train/loss")]]
    assert steps == [str(number) for number in range(1, 13)]
    assert "training ended" in said[0]
    assert "training ended" not in said[1]
