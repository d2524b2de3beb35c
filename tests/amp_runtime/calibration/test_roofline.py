from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from amp_runtime.calibration import roofline
from amp_runtime.calibration.roofline import NO_MATPLOTLIB, Point, draw, points, undrawable
from tests.amp_runtime.calibration.records import profile

pytest.importorskip("matplotlib")


def test_only_what_computes_and_moves_bytes_is_a_point() -> None:
    assert points(profile()) == [Point("bf16", 341.3, 25.0), Point("fp32", 170.7, 100.0)]
    assert undrawable(profile()) is None


def test_the_picture_is_the_same_for_the_same_profile_and_names_its_roofs() -> None:
    first, second = draw(profile()), draw(profile())
    assert first == second
    texts = {element.text for element in ET.fromstring(first).iter() if element.tag.endswith("text")}
    assert {"fp32, best 100", "bf16, best 25.0", "memory 20.0 GB/s", "stated dense peaks"} <= texts
    assert not any(text and "mathdefault" in text for text in texts)
    assert draw(profile(), "png").startswith(b"\x89PNG")


def test_a_name_that_is_markup_stays_a_name() -> None:
    named = replace(profile().metadata, hardware_name="<script>$x$ \x1b")
    picture = draw(profile(metadata=named)).decode()
    assert not re.search(r"<script", picture)
    ET.fromstring(picture)


def test_nothing_to_draw_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = profile(operation_profiles={})
    assert undrawable(empty) == "no operation of the profile has both a rate and an intensity"
    with pytest.raises(ValueError, match="no operation"):
        draw(empty)
    monkeypatch.setattr(roofline, "available", lambda: False)
    assert undrawable(profile()) == NO_MATPLOTLIB
    with pytest.raises(ImportError, match="verify-amp"):
        draw(profile())
