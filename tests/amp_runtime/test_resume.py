"""A run that was cut in the middle of an epoch and resumed in a fresh process equals one that never stopped."""

import json
from pathlib import Path

import pytest

from tests.amp_runtime import warm
from tests.amp_runtime.resumable import CASES, HALF, STEPS

SCRIPT = Path(__file__).with_name("resumable.py")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folders = {part: tmp_path_factory.mktemp(part) for part in ("straight", "halves")}
    running = [warm.start(SCRIPT, "straight", folders["straight"]), warm.start(SCRIPT, "first", folders["halves"])]
    for process in running:
        said = process.communicate(250)
        assert process.returncode == 0, said
    code, *said = warm.run(SCRIPT, "second", folders["halves"])
    assert code == 0, said
    return {
        part: json.loads((folders["straight" if part == "straight" else "halves"] / f"{part}.json").read_text())
        for part in ("straight", "first", "second")
    }


@pytest.mark.parametrize(("precision", "kind"), CASES)
def test_a_run_resumed_in_a_fresh_process_equals_an_unbroken_one(precision, kind, results):
    straight, first, second = (results[part][f"{precision} {kind}"] for part in ("straight", "first", "second"))
    assert len(first["steps"]) == HALF
    assert first["steps"] + second["steps"] == straight["steps"]
    assert len(straight["steps"]) == STEPS
    for name in ("state", "generators", "policy", "best"):
        assert second[name] == straight[name], name
    assert first["validations"] + second["validations"] == straight["validations"]
    # The first process also recorded the part of the epoch after which it stopped.
    assert first["epochs"][:1] + second["epochs"] == straight["epochs"]


def test_the_loss_scale_had_a_history_worth_resuming(results):
    skipped = ["True" in step for step in results["straight"]["fp16 global"]["steps"]]
    assert any(skipped[:HALF])
    assert any(skipped[HALF:])
