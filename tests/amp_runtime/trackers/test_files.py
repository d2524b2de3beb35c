import csv
import io
import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.trackers import ConsoleTracker, CsvTracker, JsonlTracker
from amp_runtime.trackers.appended import AppendedFile, drop_half_line
from tests.amp_runtime import warm


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_jsonl_has_one_object_per_line(tmp_path):
    tracker = JsonlTracker(tmp_path / "deep" / "run.jsonl")
    tracker.config({"precision": "fp16", "lr": 0.1, "worst": math.inf})
    tracker.log(1, {"train/loss": 0.5, "train/grad_norm": math.nan})
    tracker.close()
    tracker.close()
    assert lines(tmp_path / "deep" / "run.jsonl") == [
        {"config": {"precision": "fp16", "lr": 0.1, "worst": "inf"}},
        {"step": 1, "train/loss": 0.5, "train/grad_norm": "nan"},
    ]


def test_every_line_is_in_the_file_at_once(tmp_path):
    tracker = JsonlTracker(tmp_path / "run.jsonl")
    for step in range(3):
        tracker.log(step, {"loss": 1.0})
        assert len(lines(tmp_path / "run.jsonl")) == step + 1


CRASH = """
import os, sys
from amp_runtime.trackers import CsvTracker, JsonlTracker
from tests.amp_runtime import warm
from tests.amp_runtime import warm
for tracker in (CsvTracker(sys.argv[1] + "/run.csv"), JsonlTracker(sys.argv[1] + "/run.jsonl")):
    for step in range(100):
        tracker.log(step, {"loss": 1 / (step + 1)})
os._exit(9)
"""


def test_a_program_that_dies_leaves_whole_lines_to_which_the_next_one_adds(tmp_path):
    assert warm.run("-c", CRASH, tmp_path)[0] == 9
    for name, cut in (("run.csv", "99,0.0"), ("run.jsonl", '{"step": 99, "lo')):
        path = tmp_path / name
        whole = path.read_text()
        path.write_text(whole + cut)  # and half a line, as a machine that dies may leave it
        tracker = CsvTracker(path) if name == "run.csv" else JsonlTracker(path)
        tracker.log(100, {"loss": 0.25})
        tracker.close()
        assert path.read_text().startswith(whole)
    assert [row["step"] for row in rows(tmp_path / "run.csv")] == [str(step) for step in range(101)]
    assert rows(tmp_path / "run.csv")[-1]["loss"] == "0.25"
    assert [line["step"] for line in lines(tmp_path / "run.jsonl")] == list(range(101))


@given(text=st.text(alphabet="ab\n", max_size=40), big=st.booleans())
def test_exactly_the_half_line_is_dropped(text, big, tmp_path_factory):
    path = tmp_path_factory.mktemp("half") / "file"
    text = text.replace("a", "a" * 40_000) if big else text
    path.write_text(text)
    drop_half_line(path)
    assert path.read_text() == text[: text.rfind("\n") + 1]


def test_a_write_that_takes_only_a_part_is_gone_on_with(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data)[:3]))
    file = AppendedFile(tmp_path / "file")
    file.append("0123456789")
    assert (tmp_path / "file").read_text() == "0123456789\n"
    file.close()


def test_csv_grows_a_column_for_a_new_figure(tmp_path):
    path = tmp_path / "run.csv"
    tracker = CsvTracker(path)
    tracker.log(1, {"train/loss": 0.5})
    tracker.log(2, {"train/loss": math.inf})
    tracker.log(2, {"validation/loss": math.nan, "validation/accuracy": 1})
    tracker.log(3, {"train/loss": 0.25})
    tracker.close()
    assert path.read_text().splitlines() == [
        "step,train/loss,validation/loss,validation/accuracy",
        "1,0.5,,",
        "2,inf,,",
        "2,,nan,1.0",
        "3,0.25,,",
    ]
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.csv"]


def test_csv_adds_to_the_file_of_an_earlier_run(tmp_path):
    path = tmp_path / "run.csv"
    for step, figures in ((1, {"a": 1}), (2, {"b": 2}), (3, {"a": 3})):
        tracker = CsvTracker(path)
        tracker.log(step, figures)
        tracker.close()
    assert path.read_text().splitlines() == ["step,a,b", "1,1.0,", "2,,2.0", "3,3.0,"]


def test_numbers_survive_csv_exactly(tmp_path):
    values = [0.1, 1e-300, 1 / 3, -0.0]
    tracker = CsvTracker(tmp_path / "run.csv")
    for step, value in enumerate(values):
        tracker.log(step, {"x": value})
    tracker.close()
    assert [float(row["x"]) for row in rows(tmp_path / "run.csv")] == values


def test_names_with_commas_quotes_and_line_breaks_are_no_danger_to_csv(tmp_path):
    tracker = CsvTracker(tmp_path / "run.csv")
    tracker.log(1, {'a,"b"\nc': 1.0})
    tracker.close()
    assert (tmp_path / "run.csv").read_text().count("\n") == 2
    assert rows(tmp_path / "run.csv") == [{"step": "1", 'a,"b" c': "1.0"}]


def test_a_foreign_csv_file_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("name,value\nx,1\n")
    with pytest.raises(ValueError, match=r"data.csv is not a CSV file of a tracker: its first column is not 'step'"):
        CsvTracker(path).log(1, {"loss": 1.0})
    assert path.read_text() == "name,value\nx,1\n"


def test_csv_keeps_the_configuration_beside_it(tmp_path):
    tracker = CsvTracker(tmp_path / "run.csv")
    tracker.config({"precision": "bf16"})
    tracker.config({"ended": "all epochs were trained"})
    beside = json.loads((tmp_path / "run.csv.config.json").read_text())
    assert beside == {"precision": "bf16", "ended": "all epochs were trained"}


def test_the_console_gets_lines(capsys):
    stream = io.StringIO()
    for tracker in (ConsoleTracker(stream), ConsoleTracker()):
        tracker.config({"precision": "bf16"})
        tracker.log(3, {"train/loss": 0.123456789, "train/lr": 1e-5})
        tracker.close()
    assert stream.getvalue() == "config  precision bf16\nstep 3  train/loss 0.123457  train/lr 1e-05\n"
    assert capsys.readouterr() == ("", stream.getvalue())
