from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import html5lib
import pytest

from reports import html
from reports.html_text import blocks, words
from tests import golden
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples

GOLDEN = Path(__file__).parent / "golden"
CSS = (Path(html.__file__).parent / "templates" / "report.css").read_text("utf-8")
COLOURS = re.compile(r"--(?P<name>[\w-]+): (?P<colour>#[0-9a-f]{6});")


def parsed(report):
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html.render(report))


def text(element):
    return "".join(element.itertext())


@pytest.mark.parametrize("kind", ["blocked", "passed"])
def test_the_page_is_the_accepted_one(kind):
    page = html.render(getattr(samples, kind)())
    golden.check(GOLDEN / kind / "report.html", re.sub(r"base64,[\w+/=]+\"", 'base64,..."', page))


def test_the_verdict_is_the_first_text_of_the_page():
    body = parsed(samples.blocked()).find("body")
    said = [part.strip() for part in body.itertext() if part.strip()]
    assert said[:4] == ["Skip to the findings", "BLOCK", "T035", "42/100"]


def test_the_policy_lets_only_our_own_style_and_script_act():
    tree = parsed(samples.passed())
    policy = next(one.get("content") for one in tree.iter("meta") if one.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag in ("style", "script"):
        (element,) = tree.iter(tag)
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_nothing_is_asked_of_a_network():
    tree = parsed(samples.passed())
    asked = [value for one in tree.iter() for key, value in one.items() if key in ("src", "href", "action", "srcset")]
    assert asked
    assert all(value.startswith(("#", "data:image/svg+xml;base64,")) for value in asked)
    assert "http://" not in CSS
    assert "url(" not in CSS
    assert "@import" not in CSS
    assert not [one for one in tree.iter() if any(key.startswith("on") or key == "style" for key, _ in one.items())]


def test_pictures_are_in_the_page_and_have_a_text():
    images = list(parsed(samples.passed()).iter("img"))
    assert images
    for image in images:
        assert image.get("alt")
        assert base64.b64decode(image.get("src").partition(",")[2]).lstrip().startswith((b"<?xml", b"<svg"))


def test_a_screen_reader_finds_its_way():
    tree = parsed(samples.passed())
    assert tree.get("lang") == "en"
    for landmark in ("header", "nav", "main", "footer", "h1"):
        assert len(list(tree.iter(landmark))) == 1
    ids = [one.get("id") for one in tree.iter() if one.get("id")]
    assert len(ids) == len(set(ids))
    assert {one.get("href")[1:] for one in tree.iter("a")} <= set(ids)
    assert {one.get("aria-labelledby") for one in tree.iter("section")} - {None} <= set(ids)
    labelled = {field for label in tree.iter("label") for field in label.iter("input")}
    assert set(tree.iter("input")) == labelled
    for cell in tree.iter("th"):
        assert cell.get("scope") in ("col", "row")


def test_without_a_script_everything_is_there_and_no_control_that_does_nothing():
    tree = parsed(samples.blocked())
    hidden = [one for one in tree.iter() if one.get("hidden") is not None]
    assert [one.get("id") for one in hidden] == ["theme", "filter"]
    assert len([one for one in tree.iter("li") if one.get("class") == "finding"]) == 3


def test_the_lines_of_a_finding_are_marked_by_more_than_colour():
    lines = [one for one in parsed(samples.blocked()).iter("span") if one.get("class") == "line here"]
    assert text(lines[0]).startswith("> 131  ")


def test_a_long_report_has_a_line_for_each_finding():
    found = [reported(finding(at=f"a{n}.py:{n + 1}", remediation="mend")) for n in range(html.IN_FULL + 50)]
    tree = parsed(run_report(stage_result(*found)))
    items = [one for one in tree.iter("li") if one.get("class") == "finding"]
    assert len(items) == html.IN_FULL + 50
    assert sum(item.find("details") is not None for item in items) == html.IN_FULL
    assert sum(one.get("open") is not None for one in tree.iter("details")) == html.OPEN


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """WCAG 2.2, 1.4.3."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


THEMES = [dict(COLOURS.findall(part)) for part in re.split(r"\n(?=@media|:root\[)", CSS)[:3]]
ON_BADGE = ("critical", "high", "medium", "low", "info", "pass", "block")
PAIRS = [
    *((name, ground) for name in ("text", "muted", "link") for ground in ("page", "panel")),
    *(("text", ground) for ground in ("here", "added", "removed")),
    *(("on-badge", badge) for badge in ON_BADGE),
]


@pytest.mark.parametrize("theme", [0, 1, 2])
@pytest.mark.parametrize("pair", PAIRS, ids="-on-".join)
def test_text_can_be_read_in_every_theme(theme, pair):
    assert contrast(*(THEMES[theme][name] for name in pair)) >= 4.5


def test_both_ways_into_the_dark_have_the_same_colours():
    assert THEMES[1] == THEMES[2] != THEMES[0]


def test_no_rule_of_the_style_is_taken_for_a_command():
    assert not re.search(r"^\s*::", CSS, re.MULTILINE)


def test_words_between_backticks_are_code():
    assert words("call `f(<x>)` now") == "call <code>f(&lt;x&gt;)</code> now"
    assert words("a ` b") == "a ` b"


def test_blocks_of_text_are_told_apart():
    assert blocks("Do this:\n\n    x = 1\n\n- a\n- b") == (
        '<p>Do this:</p><pre tabindex="0" role="region" aria-label="code"><code><span class="line ">x = 1\n</span>'
        "</code></pre><ul><li>a</li><li>b</li></ul>"
    )
