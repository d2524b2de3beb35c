"""Ten thousand generated strings through every format (`make stress`); HOSTILE_STRINGS says how many."""

from __future__ import annotations

import os
import random

import pytest

from reports import plots
from reports.plugin import RENDERERS
from tests.reports import runner
from tests.reports.hostile_report import hostile_report
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
    monkeypatch.setattr(plots, "available", lambda: False)
    rng = random.Random(renderer.name)
    plain = SHAPES[renderer.name](renderer.render(hostile_report("xx")))
    for _ in range(COUNT):
        text = generated(rng)
        document = renderer.render(hostile_report(text))
        safe(renderer.name, document)
        assert SHAPES[renderer.name](document) == plain, text
