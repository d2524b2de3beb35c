"""Where the calls of a scaler are put: around loops, under tests, beside comments, and where nothing can be told."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.stages.fixing import fixed, texts, write

HEAD = """\
import torch
from torch.nn.utils import clip_grad_norm_

def train(model, loader, optimizer, other, limit):
    scaler = torch.amp.GradScaler("cuda")
    for batch in loader:
        scaler.scale(model(batch)).backward()
"""


def mend(root: Path, body: str, rule: str, *, unsafe: bool = False) -> str:
    text = HEAD + textwrap.indent(textwrap.dedent(body).lstrip("\n"), "        ")
    done = fixed(root, write(root, {"a.py": text}), only=rule, unsafe=unsafe)
    return textwrap.dedent(texts(done.sources)["a.py"].removeprefix(HEAD))


CASES = {
    "the norm is kept": (
        "AMP103",
        """
        norm = clip_grad_norm_(  # the usual
            model.parameters(),
            limit,
        )
        scaler.step(optimizer); scaler.update()
        """,
        """
        scaler.unscale_(optimizer)
        norm = clip_grad_norm_(  # the usual
            model.parameters(),
            limit,
        )
        scaler.step(optimizer); scaler.update()
        """,
    ),
    "once for all parameters": (
        "AMP103",
        """
        for group in optimizer.param_groups:
            clip_grad_norm_(group["params"], limit)
        scaler.step(optimizer)
        scaler.update()
        """,
        """
        scaler.unscale_(optimizer)
        for group in optimizer.param_groups:
            clip_grad_norm_(group["params"], limit)
        scaler.step(optimizer)
        scaler.update()
        """,
    ),
    "only where it is clipped": (
        "AMP103",
        """
        if limit:
            # keep it small
            clip_grad_norm_(model.parameters(), limit)
        scaler.step(optimizer)
        scaler.update()
        """,
        """
        if limit:
            # keep it small
            scaler.unscale_(optimizer)
            clip_grad_norm_(model.parameters(), limit)
        scaler.step(optimizer)
        scaler.update()
        """,
    ),
    "behind the last of several steps": (
        "AMP108",
        """
        scaler.step(optimizer)
        scaler.step(other)  # both
        optimizer.zero_grad()
        """,
        """
        scaler.step(optimizer)
        scaler.step(other)  # both
        scaler.update()
        optimizer.zero_grad()
        """,
    ),
    "behind the step, with its comment": (
        "AMP109",
        """
        scaler.update()  # for the next batch

        # now step
        scaler.step(optimizer)
        optimizer.zero_grad()
        """,
        """

        # now step
        scaler.step(optimizer)
        scaler.update()  # for the next batch
        optimizer.zero_grad()
        """,
    ),
}


@pytest.mark.parametrize(("rule", "before", "after"), CASES.values(), ids=CASES)
def test_a_call_is_put_where_it_belongs(rule: str, before: str, after: str, tmp_path: Path) -> None:
    assert mend(tmp_path, before, rule) == textwrap.dedent(after).removeprefix("\n")


LEFT = {
    "two optimizers": """
        clip_grad_norm_(model.parameters(), limit)
        scaler.step(optimizer)
        scaler.step(other)
        scaler.update()
        """,
    "no line of its own": """
        if limit: clip_grad_norm_(model.parameters(), limit)
        scaler.step(optimizer)
        scaler.update()
        """,
}


@pytest.mark.parametrize("body", LEFT.values(), ids=LEFT)
def test_what_cannot_be_told_is_left(body: str, tmp_path: Path) -> None:
    assert mend(tmp_path, body, "AMP103", unsafe=True) == textwrap.dedent(body).lstrip("\n")


def test_a_region_ends_before_the_backward_pass_and_strings_keep_their_lines(tmp_path: Path) -> None:
    text = '''\
import torch

def train(model, loader, optimizer):
\tscaler = torch.amp.GradScaler("cuda")
\tfor batch in loader:
\t\toptimizer.zero_grad()
\t\twith torch.autocast("cuda"):  # half
\t\t\tloss = model(batch)
\t\t\t# the backward pass
\t\t\tscaler.scale(loss).backward()
\t\t\tprint("""done
\t\t\tso far""")

\t\t\tscaler.step(optimizer)
\t\t\tscaler.update()
'''
    done = fixed(tmp_path, write(tmp_path, {"a.py": text}), only="AMP207", unsafe=False)
    expected = text
    for code in ("# the", "scaler.", "print"):
        expected = expected.replace(f"\t\t\t{code}", f"\t\t{code}")
    assert texts(done.sources)["a.py"] == expected


def test_the_test_that_guards_the_step_guards_the_unscaling(tmp_path: Path) -> None:
    text = """\
import torch

def train(model, loader, optimizer, args, scaler=None):
    for batch in loader:
        if args.half and scaler is not None:
            scaler.scale(model(batch)).backward()
        else:
            model(batch).backward()
        if args.limit > 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.limit)
        if args.half and scaler is not None:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()
"""
    clip = "            torch.nn.utils.clip"
    added = "            if args.half and scaler is not None:\n                scaler.unscale_(optimizer)\n"
    done = fixed(tmp_path, write(tmp_path, {"a.py": text}), only="AMP103")
    assert texts(done.sources)["a.py"] == text.replace(clip, added + clip)


def test_a_hazard_in_a_test_may_be_there_on_purpose(tmp_path: Path) -> None:
    text = HEAD.replace("def train", "def test_train") + "        scaler.step(optimizer)\n"
    tree = write(tmp_path, {"tests/test_scaler.py": text})
    assert [item.finding.rule for item in fixed(tmp_path, tree, only="AMP108", unsafe=False).unsafe] == ["AMP108"]
    assert fixed(tmp_path, tree, only="AMP108").applied
