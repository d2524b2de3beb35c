"""A baseline is read back as it was written, and whatever else stands in its place is refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.performance.baselines.files import (
    MOST_RUNS,
    SCHEMA,
    Baseline,
    MachineKey,
    Saved,
    SavedRun,
    load,
    others,
    parse,
    path_of,
)
from verifier.api import BaselineError

KEY = MachineKey(machine="cpu-x86_64-amd-epyc-25-1-2t", torch="2.13", threads=2)
SAVED = Saved(step=3.1, low=3.0, high=3.2, samples=40, level=1, step_s=0.006, activations=1000.0, accuracy=0.9)


def run(at: str = "2026-01-01T00:00:00Z", **figures: Saved) -> SavedRun:
    modes = {"work:toy": figures or {"amp": SAVED}}
    return SavedRun(saved_at=at, commit="abc", dirty=False, verifier="0.1.0", figures=modes)


def baseline(*runs: SavedRun) -> Baseline:
    return Baseline(task="T", key=KEY, runs=runs or (run(),))


def written(root: Path, text: str) -> Path:
    path = root / path_of("T", KEY)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written(tmp_path, baseline().text())
    assert load(tmp_path, "T", KEY) == baseline()
    assert load(tmp_path, "U", KEY) is None


def test_the_text_is_sorted_and_a_further_run_only_adds_lines() -> None:
    one, two = baseline().text().splitlines(), baseline(run(), run("2026-02-01T00:00:00Z")).text().splitlines()
    assert list(json.loads(baseline().text())) == sorted(json.loads(baseline().text()))
    missing = [line for line in one if line.rstrip(",") not in {other.rstrip(",") for other in two}]
    assert missing == []


def test_only_the_last_runs_are_kept() -> None:
    found = baseline()
    for number in range(MOST_RUNS + 5):
        found = found.extended(run(f"run {number}"))
    assert len(found.runs) == MOST_RUNS
    assert found.runs[-1].saved_at == f"run {MOST_RUNS + 4}"


def test_file_names_are_harmless_and_differ_by_what_makes_figures_differ() -> None:
    assert KEY.file_name == "cpu-x86_64-amd-epyc-25-1-2t-torch2.13-2threads.json"
    assert MachineKey(machine="../../x y", torch="2.13", threads=1).file_name == "x-y-torch2.13-1threads.json"
    names = {MachineKey(machine="m", torch=torch, threads=n).file_name for torch in ("2.12", "2.13") for n in (1, 2)}
    assert len(names) == 4


def test_other_classes_are_counted(tmp_path: Path) -> None:
    path = written(tmp_path, baseline().text())
    path.with_name("another.json").write_text("")
    assert others(tmp_path, "T", KEY) == 1
    assert others(tmp_path, "U", KEY) == 0


def changed(**changes: object) -> str:
    return json.dumps(json.loads(baseline().text()) | changes)


def with_figure(**changes: object) -> str:
    document = json.loads(baseline().text())
    document["runs"][0]["figures"]["work:toy"]["amp"] |= changes
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "damaged"),
        (baseline().text()[:-20], "damaged"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "it is no baseline"),
        (changed(schema="verifier-performance-baseline/2"), "this version of verify reads"),
        (changed(schema="other/1"), "it is no baseline"),
        (changed(task=7), "`task` must be a text"),
        (changed(task="T" * 1000), "`task` must be a text"),
        (changed(task="U"), "it is of task 'U'"),
        (changed(key=[]), "`key` must be a table"),
        (changed(runs={}), "`runs` must be a list"),
        (changed(runs=[{}] * 1000), "`runs` must be a list"),
        (changed(runs=[1]), "run 1 is no table"),
        (with_figure(step=-1), "`step` is no finite number"),
        (with_figure(step=True), "`step` is no number"),
        (with_figure(step="3"), "`step` is no number"),
        (with_figure(step=1e300), "`step` is no finite number"),
        (with_figure(low=4.0), "the interval does not hold the figure"),
        (with_figure(samples=0), "`samples` must be a whole number"),
        (with_figure(level=1.5), "`level` must be a whole number"),
        (baseline().text().replace("3.1", "NaN"), "NaN is no figure"),
        (baseline().text().replace("3.1", "1e999"), "`step` is no finite number"),
        (changed(key=KEY.document() | {"machine": "cpu-arm"}), "measured elsewhere (machine 'cpu-arm'"),
        (changed(key=KEY.document() | {"threads": 8}), "threads 8 and not 2"),
        (changed(key=KEY.document() | {"reference": 2}), "reference 2 and not 1"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(BaselineError) as caught:
        load(tmp_path, "T", KEY)
    said = str(caught.value)
    assert says in said
    assert said.startswith(path.relative_to(tmp_path).as_posix())
    assert "save" in said or "restore" in said
    assert "\n" not in said
    assert len(said) < 800
    assert path.read_text() == text, "reading changes nothing"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / path_of("T", KEY)).mkdir(parents=True)
    with pytest.raises(BaselineError, match="cannot be read"):
        load(tmp_path, "T", KEY)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with written(tmp_path, "").open("wb") as file:
        file.truncate(5 * 2**20)
    with pytest.raises(BaselineError, match="larger than 4 MiB"):
        load(tmp_path, "T", KEY)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["task", "key", "runs", "step", "figures", "commit", "level"]), _JSON)
def test_any_value_in_any_place_is_read_or_refused(key: str, value: object) -> None:
    def put(node: object) -> object:
        if isinstance(node, dict):
            return {name: value if name == key else put(inner) for name, inner in node.items()}
        return [put(inner) for inner in node] if isinstance(node, list) else node

    text = json.dumps(put(json.loads(baseline().text())))
    try:
        kept = parse(text.encode("utf-8", "surrogatepass"), "file").text()
    except BaselineError as error:
        kept = json.dumps({"schema": str(error).startswith("file: ") and SCHEMA})
    assert json.loads(kept)["schema"] == SCHEMA


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(BaselineError):
        parse(data, "file")
