"""Every format is a view of one report: they say the same verdict, score, findings and places."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import html5lib
import pytest

from reports import agent, concise, github, gitlab, html, json_lines, json_report, junit, markdown, sarif
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


def of_json_lines(report):
    *rows, last = map(json.loads, json_lines.render(report).splitlines())
    found = [row for row in rows if row["type"] == "finding"]
    assert (last["findings"], last["suppressed"]) == (len(found), len(rows) - len(found))
    return last["verdict"], last["score"], sorted((f"{row['path']}:{row['line']}", row["rule"]) for row in found)


def of_sarif(report, text=None):
    (run,) = json.loads(text or sarif.render(report))["runs"]
    told = run["properties"]
    found = [(one["locations"][0]["physicalLocation"], one) for one in run["results"] if "suppressions" not in one]
    assert told["findings"] == len(found)
    places = [(f"{unquote(at['artifactLocation']['uri'])}:{at['region']['startLine']}", one) for at, one in found]
    return told["verdict"], told["score"], sorted((place, one["ruleId"]) for place, one in places)


def of_sarif_archive(report):
    return of_sarif(report, sarif.extras(report)[sarif.ARCHIVE])


def of_junit(report):
    root = ET.fromstring(junit.render(report))
    cases = [case for case in root.iter("testcase") if case.get("classname").endswith(".findings")]
    found = [case for case in cases if case.find("skipped") is None]
    bad = int(root.get("failures")) + int(root.get("errors"))
    said = next(case[0] for case in root.iter("testcase") if case.get("name") == "verdict")
    verdict, score = (said.get("message") or said.text).removesuffix("/100").split(" ")
    assert (verdict == "BLOCK") == bool(bad)
    return verdict, int(score), sorted((f"{c.get('file')}:{c.get('line')}", c.get("name").split(" ")[0]) for c in found)


def of_gitlab(report):
    """The verdict and the score have no place in this format."""
    found = [one for one in json.loads(gitlab.render(report)) if one["check_name"] != "verify"]
    places = [(f"{one['location']['path']}:{one['location']['lines']['begin']}", one["check_name"]) for one in found]
    return report.verdict, report.score, sorted(places)


def of_agent(report):
    lines = agent.render(report).splitlines()
    verdict, score = re.match(r".+?: (PASS|BLOCK) (\d+)/100", lines[0]).groups()
    path, found = "", []
    for before, line in pairwise(lines):
        if not before:
            path = line
        elif match := re.match(r"(\d+):\d+ ([A-Z]{3}\d{3}) ", line):
            found.append((f"{path}:{match[1]}", match[2]))
    return verdict, int(score), sorted(found)


def of_github(report):
    """Of more than ten of a kind not all are shown, so the small reports are compared."""
    *lines, last = github.render(report).splitlines()
    verdict, score = re.match(r".+?: (PASS|BLOCK) (\d+)/100", last).groups()
    found = [re.search(r"file=(.+?),line=(\d+),.*title=([A-Z]{3}\d{3}) ", line) for line in lines if "file=" in line]
    return verdict, int(score), sorted((f"{match[1]}:{match[2]}", match[3]) for match in found)


def of_html(report):
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html.render(report))
    verdict = next(one.text for one in tree.iter("p") if one.get("id") == "verdict")
    score = next(one.text for one in tree.iter("span") if one.get("class") == "score").removesuffix("/100")
    items = [item for item in tree.iter("li") if item.get("class") == "finding"]
    parts = [{part.get("class"): part.text for part in item.iter("span")} for item in items]
    return verdict, int(score), sorted((part["place"], part["rule"]) for part in parts)


READERS = {
    "html": of_html,
    "json": of_json,
    "json-lines": of_json_lines,
    "concise": of_concise,
    "md": of_markdown,
    "sarif": of_sarif,
    "sarif archive": of_sarif_archive,
    "junit": of_junit,
    "gitlab": of_gitlab,
    "agent": of_agent,
    "github": of_github,
}


PAIRS = [(name, reader) for name in REPORTS for reader in READERS if (name, reader) != ("mixed", "github")]


def expected(report):
    return sorted(
        (f"{item.finding.location.path}:{item.finding.location.line}", item.finding.rule)
        for stage in report.stages
        for item in stage.findings
    )


@pytest.mark.parametrize(("name", "reader"), PAIRS)
def test_the_formats_agree(name, reader):
    report = REPORTS[name]
    assert READERS[reader](report) == (report.verdict, report.score, expected(report))


def test_annotations_of_a_long_report_are_of_its_findings_and_count_the_rest():
    report = REPORTS["mixed"]
    verdict, score, found = of_github(report)
    more = sum(map(int, re.findall(r"::and (\d+) more", github.render(report))))
    assert (verdict, score) == (report.verdict, report.score)
    assert set(found) < set(expected(report))
    assert len(found) + more == len(expected(report))
