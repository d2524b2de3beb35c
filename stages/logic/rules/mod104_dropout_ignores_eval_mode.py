"""MOD104: a module's dropout does not depend on its mode, so that it stays on in evaluation."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import resolve_bindings
from stages._source.program.scopes import Function
from stages._source.wanted import Wanted
from stages.logic.blocks import around
from stages.logic.problems import Problem
from stages.logic.training_code import is_module_class
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD104",
    name="dropout-ignores-eval-mode",
    severity=Severity.HIGH,
    summary="A module's dropout does not depend on its mode, so that it stays on in evaluation.",
    why=(
        "`F.dropout` drops unless it is told `training=self.training`, and `scaled_dot_product_attention` drops with"
        " whatever `dropout_p` it is given: `model.eval()` reaches neither. Validation is worse than the model is, and"
        " differs from run to run; a checkpoint is chosen by chance. For attention, whose rate is often 0, it is"
        " MEDIUM. Tacotron's prenet, which is to drop in synthesis too, is known by its name."
    ),
    examples=(
        Bad("""
            import torch
            import torch.nn.functional as F
            from torch import nn

            class Block(nn.Module):
                def __init__(self, dropout):
                    super().__init__()
                    self.dropout = dropout
                    self.fc = nn.Linear(8, 8)

                def forward(self, x):
                    x = F.dropout(self.fc(x), p=self.dropout)  # expect: MOD104
                    return F.scaled_dot_product_attention(x, x, x, dropout_p=self.dropout)  # expect: MOD104
        """),
        Good("""
            import torch
            import torch.nn.functional as F
            from torch import nn

            class Block(nn.Module):
                def __init__(self, dropout):
                    super().__init__()
                    self.dropout = dropout
                    self.fc = nn.Linear(8, 8)

                def forward(self, x):
                    x = F.dropout(self.fc(x), self.dropout, self.training)
                    x = F.dropout(x, p=0.5, training=self.training)
                    if self.training:
                        x = F.dropout(x)
                    rate = self.dropout if self.training else 0.0
                    return F.scaled_dot_product_attention(x, x, x, dropout_p=rate)

            class Attention(nn.Module):
                def __init__(self, dropout):
                    super().__init__()
                    self.dropout = dropout
                    self.flash = dropout == 0.0

                def forward(self, x):
                    if self.flash:
                        return F.scaled_dot_product_attention(x, x, x, dropout_p=self.dropout)
                    return x

            class Prenet(nn.Module):
                def forward(self, x):
                    return F.dropout(x, 0.5)

            class Sampler(nn.Module):
                def sample(self, x, noise_dropout=0.0):
                    return F.dropout(x, p=noise_dropout)

            def augment(x):
                return F.dropout(x, p=0.1)
        """),
    ),
)
_WORDS = (b"F.dropout", b"functional.dropout")
_ALWAYS = late(r"prenet|MonteCarlo|MCDrop", re.IGNORECASE)  # Tacotron's prenet is to drop in synthesis as well
_ASKED = late(r"train|drop", re.IGNORECASE)
_LONG = 200  # bytes in which such a call ends, or says `training`


def _may_ignore(data: bytes) -> bool:
    """Say whether the text has such a dropout without the word `training` after it, or attention with a fixed rate."""
    if b"dropout_p=self." in data:
        return True
    for word in _WORDS:
        at = data.find(word)
        while at >= 0:
            if b"training" not in data[at : at + _LONG]:
                return True
            at = data.find(word, at + 1)
    return False


WANTED = Wanted(every=(b"dropout",), test=_may_ignore)
_DROPOUTS = frozenset(f"torch.nn.functional.{name}" for name in ("dropout", "dropout1d", "dropout2d", "dropout3d"))
_ATTENTION = "torch.nn.functional.scaled_dot_product_attention"


def look(view: View) -> Iterator[Problem]:
    """Report such calls in methods of modules, unless they stand where the mode was asked for."""
    for seen in view.calls():
        call = seen.node
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name | ast.Attribute):
            continue
        names = view.origins(call.func, seen.scope)
        if not (names & _DROPOUTS or _ATTENTION in names) or any(keyword.arg is None for keyword in call.keywords):
            continue
        if not _in_module(view, seen.scope) or _asks(view, call, seen.scope):
            continue
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if names & _DROPOUTS and "training" not in given and len(call.args) < 3 and not _is_chosen(call, given, seen):
            said = f"`{ast.unparse(call.func)}` drops in eval mode too: it is not told `training`"
            yield _problem(view, call, said, "Pass `training=self.training`, or use a `torch.nn.Dropout` module.")
        elif _ATTENTION in names and _is_own(given.get("dropout_p")):
            said = f"attention drops in eval mode too: `dropout_p={ast.unparse(given['dropout_p'])}`"
            remedy = f"Pass `dropout_p={ast.unparse(given['dropout_p'])} if self.training else 0.0`."
            yield _problem(view, call, said, remedy, Severity.MEDIUM)


def _in_module(view: View, scope: Scope) -> bool:
    method: Scope | None = scope
    while method is not None and not isinstance(method.node, Function):
        method = method.parent
    cls = method.parent if method is not None else None
    if cls is None or not isinstance(cls.node, ast.ClassDef) or _ALWAYS.search(cls.node.name):
        return False
    return is_module_class(view, cls)


def _asks(view: View, call: ast.Call, scope: Scope) -> bool:
    """Say whether a test around the call asks for the mode or the rate, or for something that may stand for them."""
    for outer in around(view, call):
        if isinstance(outer, Function):
            return False
        if isinstance(outer, ast.If | ast.IfExp) and _ASKED.search(_spelt_out(view, outer.test, scope)):
            return True
    return False


def _spelt_out(view: View, test: ast.expr, scope: Scope) -> str:
    """Return a test as text, with what its attributes of the module were bound to."""
    bound = [
        ast.unparse(binding.value)
        for node in ast.walk(test)
        if isinstance(node, ast.Attribute)
        for binding in resolve_bindings(view.project, node, scope)
        if binding.value is not None
    ]
    return " ".join([ast.unparse(test), *bound])


def _is_chosen(call: ast.Call, given: dict[str | None, ast.expr], seen: Seen) -> bool:
    """Say whether nothing is dropped, or the caller of the method chooses how much in each call."""
    rate = given.get("p", call.args[1] if len(call.args) > 1 else None)
    if isinstance(rate, ast.Name):
        owner = seen.scope.owner_of(rate.id)
        return owner is not None and any(item.how == "parameter" for item in owner.bindings.get(rate.id, []))
    return isinstance(rate, ast.Constant) and not rate.value


def _is_own(rate: ast.expr | None) -> bool:
    """Say whether a rate is an attribute of the module as it stands: `self.dropout`, `self.drop.p`."""
    while isinstance(rate, ast.Attribute):
        rate = rate.value
        if isinstance(rate, ast.Name):
            return rate.id == "self"
    return False


def _problem(view: View, call: ast.Call, message: str, remedy: str, severity: Severity | None = None) -> Problem:
    return Problem(place=view.place(call), message=message, remedy=remedy, severity=severity)
