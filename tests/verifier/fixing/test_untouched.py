"""A file without findings is not touched, and of one that has some only the lines of the diff change."""

from __future__ import annotations

import codecs
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stages.fixing import fixed, write

GOOD = """\
import torch
\x0c

def train(model, loader, optimizer, use_amp):
    scaler = torch.amp.GradScaler("cuda", enabled=use_amp)  # é
    for batch in loader:
\t    text = '''
  kept as it is
\t'''
\t    with torch.autocast("cuda", enabled=use_amp):
\t        loss = model(batch)
\t    scaler.scale(loss).backward()
\t    scaler.step(optimizer)
\t    scaler.update()
    return text
"""
BAD = GOOD.replace("\t    scaler.update()\n", "").replace('"cuda", enabled=use_amp):', '"cuda", enabled=use_amp):  # é')
WRITTEN = st.tuples(
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "cp1252"]),
    st.booleans(),
)


def _encoded(text: str, how: tuple[str, str, bool]) -> bytes:
    end, encoding, ended = how
    head = f"# -*- coding: {encoding} -*-\n" if encoding in ("latin-1", "cp1252") else ""
    body = (head + text).replace("\n", end)
    body = body if ended else body.rstrip("\r\n")
    mark = codecs.BOM_UTF8 if encoding == "utf-8-sig" else b""
    return mark + body.encode("utf-8" if mark else encoding)


@settings(max_examples=12, deadline=None)
@given(WRITTEN)
def test_a_tree_without_findings_is_untouched(how: tuple[str, str, bool]) -> None:
    data = _encoded(GOOD, how)
    with tempfile.TemporaryDirectory() as folder:
        done = fixed(Path(folder), write(Path(folder), {"train.py": data}))
    assert not done.applied
    assert [file.data for file in done.sources] == [data]


@settings(max_examples=12, deadline=None)
@given(WRITTEN)
def test_a_fix_changes_the_lines_it_names_and_no_other_byte(how: tuple[str, str, bool]) -> None:
    end = how[0].encode()
    data = _encoded(BAD, how)
    with tempfile.TemporaryDirectory() as folder:
        done = fixed(Path(folder), write(Path(folder), {"train.py": data}), only="AMP108")
    assert [item.finding.rule for item in done.applied] == ["AMP108"]
    new = done.sources.files[0].data
    assert new is not None
    step = b"\t    scaler.step(optimizer)" + end
    assert new == data.replace(step, step + b"\t    scaler.update()" + end)
