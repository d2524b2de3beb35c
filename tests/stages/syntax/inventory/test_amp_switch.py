"""How a switch is followed from the public function to where it decides."""

from __future__ import annotations

import pytest

from tests.builders import syntax_facts


def rows(**files: str):
    return syntax_facts(files)["amp_switch"]


def only(source: str):
    (row,) = rows(train=source)
    return row


def uses(source: str) -> list[tuple[int, str]]:
    return [(use["line"], use["how"]) for use in only(source)["uses"]]


def test_a_switch_is_followed_to_the_scaler_and_the_context():
    row = only("""
import torch
def fit(model, use_amp: bool = False):
    scaler = torch.GradScaler() if (use_amp and torch.cuda.is_available()) else None
    with torch.autocast("cuda", enabled=use_amp):
        pass
    return {"amp_enabled": use_amp}
""")
    assert row == {
        "path": "train.py",
        "line": 2,
        "function": "fit",
        "parameter": "use_amp",
        "default": "False",
        "public": True,
        "uses": [
            {"line": 3, "how": "decides about the scaler"},
            {"line": 4, "how": "argument of autocast"},
            {"line": 6, "how": "recorded under 'amp_enabled'"},
        ],
        "passed_to": [],
    }


def test_a_switch_is_followed_through_calls_within_the_task():
    first, second = rows(
        a="from b import inner\ndef outer(use_amp=True):\n    return inner(1, use_amp=use_amp)",
        b="def inner(x, use_amp):\n    if use_amp:\n        pass",
    )
    assert first["passed_to"] == [{"line": 3, "function": "b.inner"}]
    assert second["uses"] == [{"line": 2, "how": "decides a branch"}]
    assert second["default"] is None


def test_a_switch_is_followed_through_a_local_copy():
    source = """
import torch
def fit(use_amp):
    on = use_amp and torch.cuda.is_available()
    if on:
        with torch.autocast("cuda"):
            pass
"""
    assert uses(source) == [(3, "assigned to on"), (4, "decides about autocast through on")]


def test_a_switch_is_followed_through_an_attribute_into_other_methods():
    source = """
class Trainer:
    def __init__(self, fp16=False):
        self.fp16 = fp16
    def step(self, inner):
        if not self.fp16:
            return inner(self.fp16)
"""
    assert uses(source) == [(3, "stored as self.fp16"), (5, "decides a branch through self.fp16")]
    assert only(source)["passed_to"] == [{"line": 6, "function": "inner through self.fp16"}]


def test_a_closure_reads_the_switch_and_a_hidden_name_does_not():
    source = """
def fit(use_amp):
    def inner():
        return use_amp
    def other(use_amp=1):
        return use_amp
    return inner, other
"""
    found = rows(train=source)
    assert [(row["function"], [use["line"] for use in row["uses"]]) for row in found] == [
        ("fit", [3]),
        ("fit.other", [5]),
    ]
    assert [row["public"] for row in found] == [True, False]


@pytest.mark.parametrize(
    ("header", "public"),
    [
        ("def f(amp_enabled): ...", True),
        ("def _f(amp_enabled): ...", False),
        ("class A:\n    def __init__(self, amp_enabled): ...", True),
        ("class _A:\n    def f(self, amp_enabled): ...", False),
        ("class A:\n    def _f(self, amp_enabled): ...", False),
    ],
)
def test_public_means_reachable_by_name(header, public):
    assert only(header)["public"] is public


@pytest.mark.parametrize(
    "header",
    [
        "def f(precision='16-mixed'): ...",
        "def f(precision: Literal['bf16-true', '32-true']): ...",
        "def f(precision):\n    return precision == 'fp16'",
        "from lightning import Trainer\ndef f(precision): return Trainer(precision=precision)",
        "def f(amp: bool): ...",
        "def f(amp=True): ...",
    ],
)
def test_an_ambiguous_name_is_a_switch_where_something_says_so(header):
    assert only(header)["parameter"] in ("precision", "amp")


@pytest.mark.parametrize(
    "header",
    [
        "def f1(precision, recall): return 2 * precision * recall",
        "def show(x, precision=3): return round(x, precision)",
        "def tone(amp=0.5): return amp",
        "def tone(amp: float): return amp",
        "def f(scaler, optimizer): ...",
        "def f(half=False): ...",
    ],
)
def test_other_meanings_of_an_ambiguous_name_are_left_out(header):
    assert rows(train=header) == []


def test_a_value_that_is_none_without_the_switch_carries_it_on():
    source = """
import torch
def fit(use_amp, step, loss, o):
    scaler = torch.GradScaler() if (use_amp and torch.cuda.is_available()) else None
    if scaler is not None:
        with torch.autocast("cuda"):
            pass
        scaler.scale(loss)
    step(o, scaler is not None)
    other = 1 if use_amp else 2
    return other
"""
    assert uses(source) == [
        (3, "decides about the scaler"),
        (4, "decides about autocast through scaler"),
        (9, "decides a branch"),
    ]
    assert only(source)["passed_to"] == [{"line": 8, "function": "step through scaler"}]


def test_what_a_test_passes_in_is_no_switch():
    assert rows(**{"tests/test_a": "def test_a(use_amp):\n    assert use_amp"}) == []


def test_copies_of_copies_end():
    source = "def f(use_amp):\n    a = use_amp\n    b = a\n    a = b\n    return a"
    assert (5, "returned through a") in uses(source)


def test_a_field_is_followed_to_where_instances_are_read():
    found = rows(
        config="""
from dataclasses import dataclass, field
@dataclass
class Config:
    lr: float
    use_amp: bool = field(default=False)
    def on(self):
        return self.use_amp
""",
        train="""
import torch
from config import Config
class Trainer:
    def __init__(self, config: Config):
        self.config = config
    def step(self):
        with torch.autocast("cuda", enabled=self.config.use_amp):
            pass
def other(config):
    return config.use_amp
""",
    )
    assert found == [
        {
            "path": "config.py",
            "line": 5,
            "function": "Config",
            "parameter": "use_amp",
            "default": "False",
            "public": True,
            "uses": [
                {"line": 7, "how": "argument of autocast through self.config.use_amp in train.py"},
                {"line": 7, "how": "returned through self.use_amp"},
            ],
            "passed_to": [],
        }
    ]


def test_an_ordinary_class_has_no_fields():
    assert rows(config="class Config:\n    use_amp: bool = False") == []
