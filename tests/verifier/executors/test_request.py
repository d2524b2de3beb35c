"""What is asked and answered is the same after it has travelled."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from verifier.commands import Options
from verifier.executors.request import Answer, Request, answer_from, request_from

OPTIONS = Options(
    stage=("syntax",),
    select=(),
    ignore=("LNT",),
    formats=("md,json",),
    output="out",
    config_file=Path("verifier.toml"),
    python=None,
    jobs=None,
    facts=False,
    time_limit=1.5,
    memory_limit=None,
    sandbox="auto",
    require_isolation=None,
    strict=True,
    require_device="cpu",
    quiet=False,
    verbose=False,
    color="auto",
    no_progress=True,
    command=("verify", "T1", "ü"),
    baseline=Path("b.json"),
)


def test_a_request_travels() -> None:
    request = Request(
        task="T1",
        version="1",
        options=OPTIONS,
        formats=("json", "md"),
        checkout=("c", None),
        stamp={"number": 1, "of": 2, "tasks": ["T1"], "choices": {}},
    )
    assert request_from(request.as_json()) == request
    alone = dataclasses.replace(request, stamp=None, checkout=(None, None))
    assert request_from(alone.as_json()) == alone


def test_an_answer_travels() -> None:
    answer = Answer(documents={"report.md": "a\ud800b\u2028"}, error="", code=0)
    assert answer_from(answer.as_json()) == answer
