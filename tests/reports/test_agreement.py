"""Every format is a view of one report: they say the same verdict, score, findings and places."""

from __future__ import annotations

import json
import re

import pytest

from reports import concise, json_report, markdown
from tests.builders import finding, reported, run_report, stage_result
from tests.reports import samples
from tests.reports.parsed import blocks, headings, plain

_SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFO")
_LINE = re.compile(r"(?P<path>.+?):(?P<line>\d+):\d+: (?P<code>[A-Z]{3}\d{3}) \[[A-Z]+\] ")


def mixed():
    spread = [
        reported(finding(f"SCP{index:03}", f"pkg/m{index % 4}.py:{index + 1}", _SEVERITIES[index % 5], blocking_name))
        for index, blocking_name in enumerate(["it broke"] * 30)
    ]
    return run_report(stage_result(*spread[:20]), stage_result(*spread[20:], number=2, name="logic"))


REPORTS = {"blocked": samples.blocked(), "passed": samples.passed(), "measured": samples.measured(), "mixed": mixed()}


def of_json(report):
    document = json.loads(json_report.render(report))
    found = [item for stage in document["stages"] for item in stage["findings"]]
    return document["verdict"], document["score"], sorted((f"{f['path']}:{f['line']}", f["rule"]) for f in found)


def of_concise(report):
    *lines, last = concise.render(report).splitlines()
    verdict, score = re.match(r".+?: (PASS|BLOCK) (\d+)/100", last).groups()
    found = [match for line in lines if (match := _LINE.match(line))]
    return verdict, int(score), sorted((f"{m['path']}:{m['line']}", m["code"]) for m in found)


def of_markdown(report):
    document = markdown.render(report)
    verdict, score = re.match(r"(PASS|BLOCK) (\d+)/100", headings(document)[0][1]).groups()
    return verdict, int(score), sorted([*_sections(document), *_rows(document)])


def _sections(document):
    tokens = blocks(document)
    for index, token in enumerate(tokens):
        text = plain(token)
        if token.type == "inline" and tokens[index - 1].tag == "h3" and (code := re.search(r"[A-Z]{3}\d{3}", text)):
            place = tokens[index + 3].children[0].content
            yield place, code[0]


def _rows(document):
    tokens = [token for token in blocks(document) if token.type == "inline" and token.level > 3]
    for index, token in enumerate(tokens):
        if plain(token) in _SEVERITIES:
            yield plain(tokens[index + 2]), plain(tokens[index + 1]).split()[0]


@pytest.mark.parametrize("name", REPORTS)
def test_the_formats_agree(name):
    report = REPORTS[name]
    expected = sorted(
        (f"{item.finding.location.path}:{item.finding.location.line}", item.finding.rule)
        for stage in report.stages
        for item in stage.findings
    )
    assert of_json(report) == of_concise(report) == of_markdown(report) == (report.verdict, report.score, expected)
