from __future__ import annotations

import pytest

from amp_runtime.calibration.options import UsageError, parse


def test_without_options_everything_is_measured_and_written() -> None:
    options = parse([])
    assert (options.formats, options.operations, options.device) == (("table", "json", "md"), None, None)
    assert options.progress


def test_lists_may_be_repeated_or_joined_by_commas() -> None:
    options = parse(["--operations", "matmul,conv2d", "--operations=fusion", "--format", "json,json"])
    assert (options.operations, options.formats) == (("matmul", "conv2d", "fusion"), ("json",))


def test_a_profile_that_is_only_shown_is_not_written() -> None:
    assert parse(["--load", "x"]).formats == ("table",)
    assert parse(["--load", "x", "--output", "d"]).formats == ("table", "json", "md")
    assert parse(["--output", "-"]).formats == ("table",)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--format", "jason"], "did you mean 'json'?"),
        (["--format", "x"], "valid: table, json, md"),
        (["--output", "-", "--format", "md,json"], "--output - prints one document"),
        (["--load", "x", "--quick"], "--load measures nothing"),
        (["--peak-gflops", "500"], "unrecognized arguments: --peak-gflops 500"),
        (["--pre", "x"], "unrecognized arguments"),
        (["--preset"], "expected one argument"),
    ],
)
def test_wrong_use_is_one_sentence(words: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert says in str(caught.value)
