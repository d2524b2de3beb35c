"""The page in a real browser: what needs none is tested in test_html.py, so this may be missing where there is none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from reports import html
from tests.reports import samples
from tests.reports.hostile_report import hostile_report

NAMES = (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in NAMES if name and (found := shutil.which(name))), "")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not BROWSER, reason="no Chromium here")]
HOSTILE = "\"><script>document.title='owned'</script><img src=x onerror=alert(1)>]]>-->{{ 7*7 }}"


def opened(tmp_path, report, script=""):
    """Return the page as it stands after its script, and what the browser complains of; no network is offered."""
    page = tmp_path / "report.html"
    page.write_text(html.render(report), "utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"]
    options += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=2000", "--dump-dom"]
    folder = f"--user-data-dir={tmp_path / 'profile'}"
    done = subprocess.run(
        [BROWSER, *options, folder, page.as_uri() + script], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_the_page_opens_without_a_complaint_and_its_script_runs(tmp_path):
    dom, complaints = opened(tmp_path, samples.passed())
    assert complaints == []
    assert re.search(r'<button id="theme" type="button">(Dark|Light) colours</button>', dom)
    assert '<p id="shown" role="status" aria-live="polite">1 of 1 shown</p>' in dom
    assert re.search(r'<form id="filter"[^>]*>', dom)[0].count("hidden") == 0


def test_no_text_becomes_a_script(tmp_path):
    dom, complaints = opened(tmp_path, hostile_report(HOSTILE))
    assert complaints == []
    assert "<title>owned" not in dom
    assert dom.count("<script>") == 1
