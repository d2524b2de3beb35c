"""What crosses the line comes out as it went in, and anything of another shape is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime import wire
from amp_runtime.wire import (
    ITEMS,
    Evaluated,
    Failure,
    Frame,
    Hello,
    Request,
    TestDone,
    UnitResult,
    WireError,
    from_json,
    to_json,
)

FRAMES = st.builds(Frame, path=st.text(), line=st.integers(), function=st.text())
FAILURES = st.builds(
    Failure, type=st.text(), message=st.text(), frames=st.lists(FRAMES, max_size=3).map(tuple), text=st.text()
)
TESTS = st.builds(
    TestDone,
    id=st.text(),
    outcome=st.sampled_from(["passed", "failed", "error", "skipped", "xfailed"]),
    duration_s=st.floats(allow_nan=False),
    path=st.text(),
    line=st.integers(),
    reason=st.text(),
    failure=st.none() | FAILURES,
)


@given(TESTS)
def test_a_record_survives_json(record: TestDone) -> None:
    assert from_json(TestDone, json.loads(json.dumps(to_json(record)))) == record


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda more: st.lists(more) | st.dictionaries(st.text(), more),
    )
)
def test_any_json_is_a_record_or_a_wire_error(data: object) -> None:
    for kind in (*ITEMS.values(), UnitResult, Hello, Request):
        with pytest.raises(WireError):
            from_json(kind, data)


def test_every_record_needs_something_to_be_said() -> None:
    for kind in ITEMS.values():
        with pytest.raises(WireError):
            from_json(kind, {})


def test_infinite_losses_cross(tmp_path: Path) -> None:
    text = json.dumps(to_json(wire.Stepped(step=1, loss=float("inf"))))
    assert from_json(wire.Stepped, json.loads(text)).loss == float("inf")


def test_whole_numbers_are_taken_for_floats_but_truth_values_are_not() -> None:
    assert from_json(Evaluated, {"metrics": {"a": 1}}) == Evaluated(metrics={"a": 1.0})
    with pytest.raises(WireError, match="expected float, got bool"):
        from_json(Evaluated, {"metrics": {"a": True}})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"path": "a", "line": 1}, "function"),
        ({"path": "a", "line": 1, "function": "f", "more": 1}, "unknown key 'more'"),
        ({"path": "a", "line": "1", "function": "f"}, "Frame.line: expected int, got str"),
        ([], "expected an object"),
    ],
)
def test_a_wrong_record_says_what_is_wrong(data: object, says: str) -> None:
    with pytest.raises(WireError, match=says):
        from_json(Frame, data)


def test_a_status_nobody_agreed_on_is_refused() -> None:
    with pytest.raises(WireError, match="'fine' is not one of"):
        from_json(UnitResult, {"unit": "a", "status": "fine", "phase": "", "duration_s": 1.0})


def test_it_needs_neither_torch_nor_more_of_ours_than_the_records_of_the_sanitizer() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import amp_runtime.wire; "
        "ours = ('amp_runtime.', 'verifier', 'stages', 'numpy'); "
        "loaded = sorted(n for n in sys.modules if n.startswith(ours)); "
        "names = ['compile', 'compile.records', 'instrument', 'instrument.records', 'wire', 'wire_cage', 'wire_json', "
        "'wire_performance', 'wire_scripts', 'wire_units']; "
        "assert loaded == [f'amp_runtime.{name}' for name in names], loaded"
    )
    root = Path(wire.__file__).parents[1]
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=root, check=True)
