"""Ten thousand generated strings through every format (`make stress`); HOSTILE_STRINGS says how many."""

from __future__ import annotations

import math
import os
import random

import pytest

from reports import plots
from reports.plugin import RENDERERS
from tests.reports import runner
from tests.reports.hostile_report import hostile_report, places
from tests.reports.parsed import _NASTY
from tests.reports.shapes import SHAPES
from tests.reports.test_injection import safe

pytestmark = [pytest.mark.stress, pytest.mark.timeout(7200)]
COUNT = int(os.environ.get("HOSTILE_STRINGS", "10000"))


def generated(rng):
    kinds = (
        lambda: rng.choice(_NASTY),
        lambda: rng.choice(runner.HOSTILE),
        lambda: "".join(chr(rng.randrange(rng.choice((32, 0x250, 0x110000)))) for _ in range(rng.randint(1, 8))),
        lambda: rng.choice("`|<>&\"'{}[]()#\\*_~$:%") * rng.randint(1, 40),
    )
    text = "".join(rng.choice(kinds)() for _ in range(rng.randint(1, 9)))
    return text if text.strip() else "xx"


@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda one: one.name)
def test_no_string_changes_a_document(renderer, monkeypatch):
    """Every report says as many different strings as it has places; beside it stands one that says one everywhere."""
    monkeypatch.setattr(plots, "available", lambda: False)
    rng, size = random.Random(renderer.name), places()
    plain = shape_of(renderer, [f"x{number}" for number in range(size)])
    same = shape_of(renderer, ["xx"])
    for _ in range(math.ceil(COUNT / size)):
        texts = [generated(rng) for _ in range(size)]
        assert shape_of(renderer, texts) == plain, texts
        assert shape_of(renderer, texts[:1]) == same, texts[0]


def shape_of(renderer, texts):
    document = renderer.render(hostile_report(*texts))
    safe(renderer.name, document)
    return SHAPES[renderer.name](document)


@pytest.mark.parametrize("renderer", RENDERERS, ids=lambda one: one.name)
def test_ten_megabytes_change_no_document(renderer, monkeypatch):
    monkeypatch.setattr(plots, "available", lambda: False)
    texts = [f"x{number}" for number in range(places())]
    plain = shape_of(renderer, texts)
    for place in (0, 5, 40):  # a finding, and facts of stages 1 and 3
        texts[place] = "y" * 10_000_000
    assert shape_of(renderer, texts) == plain
