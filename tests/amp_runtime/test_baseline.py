import json
import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amp_runtime.baseline import (
    RULES,
    BaselineError,
    Better,
    MetricRule,
    compare,
    load_baseline,
    save_baseline,
)

FIGURES = st.floats(-1e9, 1e9)


def change(name, now, before, **rules):
    (found,) = compare({} if now is None else {name: now}, {} if before is None else {name: before}, rules).changes
    return found.change.value


@pytest.mark.parametrize(
    ("name", "before", "now", "expected"),
    [
        ("accuracy", 0.90, 0.92, "better"),
        ("accuracy", 0.90, 0.91, "equal"),
        ("accuracy", 0.90, 0.88, "worse"),
        ("loss", 1.0, 1.005, "equal"),
        ("loss", 1.0, 1.02, "worse"),
        ("loss", 1.0, 0.5, "better"),
        ("loss", 1.0, math.nan, "worse"),
        ("accuracy", 0.5, math.inf, "worse"),
        ("examples_per_s", 100.0, 90.0, "worse"),
        ("step_ms", 100.0, 104.0, "equal"),
        ("loss", None, 1.0, "new"),
        ("loss", 1.0, None, "missing"),
        ("validation/loss", 1.0, 0.5, "better"),
        ("amp_accuracy", 0.5, 0.9, "better"),
    ],
)
def test_each_metric_has_a_direction_and_a_change_that_matters(name, before, now, expected):
    assert change(name, now, before) == expected


def test_a_rule_of_ones_own_decides_and_wins():
    assert change("bleu", 31.0, 30.0, bleu=MetricRule(better=Better.HIGHER, least=0.5)) == "better"
    assert change("loss", 1.02, 1.0, loss=MetricRule(better=Better.LOWER, least=0.1)) == "equal"


def test_no_direction_is_guessed():
    with pytest.raises(ValueError, match="'bleu' should be high or low"):
        compare({"bleu": 1.0}, {"bleu": 1.0})


def test_the_longest_name_that_fits_is_the_rule():
    rules = {"b_loss": MetricRule(better=Better.HIGHER)}
    assert change("a_b_loss", 2.0, 1.0, **rules) == "better"


def test_a_run_has_regressed_where_a_metric_is_worse_or_gone():
    before = {"loss": 1.0, "accuracy": 0.5}
    assert not compare({"loss": 0.5, "accuracy": 0.5, "perplexity": 3.0}, before).regressed
    assert compare({"loss": 1.5, "accuracy": 0.9}, before).regressed
    assert compare({"loss": 1.0}, before).regressed


@given(st.sampled_from(sorted(RULES)), FIGURES, FIGURES)
def test_what_is_better_one_way_is_not_better_the_other_way(name, one, two):
    there, back = change(name, one, two), change(name, two, one)
    assert (there, back) not in {("better", "better"), ("worse", "worse")}
    assert change(name, one, one) == "equal"


@given(st.dictionaries(st.text(min_size=1), FIGURES, min_size=1))
def test_a_baseline_comes_back_as_it_was_saved(tmp_path_factory, metrics):
    path = tmp_path_factory.mktemp("b") / "baseline.json"
    save_baseline(path, metrics, about="a test")
    assert load_baseline(path) == metrics
    assert json.loads(path.read_text("utf-8"))["about"] == "a test"
    assert [file.name for file in path.parent.iterdir()] == ["baseline.json"]


@pytest.mark.parametrize("metrics", [{}, {"loss": math.nan}, {"a": 1.0, "b": math.inf}])
def test_figures_with_which_nothing_can_be_compared_are_not_saved(tmp_path, metrics):
    path = tmp_path / "baseline.json"
    path.write_text("old", "utf-8")
    with pytest.raises(BaselineError):
        save_baseline(path, metrics)
    assert path.read_text("utf-8") == "old"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[]", "no baseline of schema"),
        ('{"schema": "other/1", "metrics": {"loss": 1}}', "no baseline of schema"),
        ('{"schema": "amp-runtime-baseline/1", "metrics": {}}', "finite numbers"),
        ('{"schema": "amp-runtime-baseline/1", "metrics": {"loss": "low"}}', "finite numbers"),
        ('{"schema": "amp-runtime-baseline/1", "metrics": {"loss": NaN}}', "finite numbers"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path, text, says):
    path = tmp_path / "baseline.json"
    path.write_text(text, "utf-8")
    with pytest.raises(BaselineError, match=says):
        load_baseline(path)


def test_the_table_has_a_line_for_each_metric():
    text = compare({"loss": 0.5}, {"loss": 1.0, "accuracy": 0.5}).table()
    assert [line.split() for line in text.splitlines()] == [
        ["metric", "before", "now", "change"],
        ["accuracy", "0.5", "-", "-", "missing"],
        ["loss", "1", "0.5", "-0.5", "better"],
    ]


@pytest.mark.parametrize("least", [-1.0, math.nan, math.inf])
def test_a_size_that_compares_nothing_is_refused(least):
    with pytest.raises(ValueError, match="least is a finite number"):
        MetricRule(better=Better.LOWER, least=least)


def test_it_needs_no_torch():
    code = "import sys; sys.modules['torch'] = None; import amp_runtime.baseline"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
