"""Only what carries the nonce counts, and a unit that was cut short says why."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.wire import Hello, Stepped, UnitResult, to_json
from stages._probe.records import Receiver

HELLO = Hello(python="3.11", preloaded={}, missing={}, layers={}, mechanisms={})
DONE = UnitResult(unit="a", status="ok", phase="step 1", duration_s=1.0)


def line(nonce: str, kind: str, **values: object) -> bytes:
    return (
        json.dumps({"n": nonce, "k": kind, **{key: to_json(value) for key, value in values.items()}}).encode() + b"\n"
    )


def receive(*lines: bytes) -> Receiver:
    receiver = Receiver("secret")
    for data in lines:
        receiver.feed(data)
    return receiver


def test_a_run_is_put_together_from_its_records() -> None:
    item = Stepped(step=1, loss=0.5)
    receiver = receive(
        line("secret", "hello", value=HELLO),
        line("secret", "begin", unit="a"),
        line("secret", "item", type="Stepped", value=item),
        line("secret", "unit", value=DONE),
        line("secret", "end"),
    )
    assert receiver.hello == HELLO
    assert receiver.ended
    assert receiver.foreign == 0
    unit = receiver.finish("complete", 0)["a"]
    assert (unit.result, unit.items) == (DONE, (item,))


def test_records_come_in_pieces() -> None:
    data = line("secret", "begin", unit="a") + line("secret", "phase", name="import")
    receiver = receive(*(data[n : n + 1] for n in range(len(data))))
    assert receiver.running == "a: import"


def test_a_record_with_another_nonce_is_foreign_and_changes_nothing() -> None:
    receiver = receive(line("secret", "begin", unit="a"), line("guess", "unit", value=DONE), line("guess", "end"))
    assert receiver.foreign == 2
    assert not receiver.ended
    assert receiver.finish("exited", 0)["a"].result.status == "lost"


def test_a_unit_that_was_cut_short_gets_the_reason_of_the_end() -> None:
    receiver = receive(line("secret", "begin", unit="a"), line("secret", "phase", name="step 3"))
    result = receiver.finish("memory", 0)["a"].result
    assert (result.status, result.phase) == ("memory", "step 3")


@given(st.lists(st.binary()))
def test_any_bytes_are_counted_and_never_crash(data: list[bytes]) -> None:
    receiver = receive(*data, b"\n")
    assert receiver.hello is None
    assert not receiver.ended
    assert receiver.foreign == b"".join([*data, b"\n"]).count(b"\n")
