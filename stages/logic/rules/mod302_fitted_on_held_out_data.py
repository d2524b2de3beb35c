"""MOD302: a transformation is fitted anew on the data that it is to be tested with."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD302",
    name="fitted-on-held-out-data",
    severity=Severity.MEDIUM,
    summary="A transformation is fitted anew on the data that it is to be tested with.",
    why=(
        "`fit_transform` on the test set scales it by its own mean and deviation: the model is tested on other numbers"
        " than it was trained on, and the test has seen what it should not have. The score says nothing of new data."
    ),
    examples=(
        Bad("""
            from sklearn.preprocessing import StandardScaler

            def prepare(x_train, x_test):
                scaler = StandardScaler()
                x_train = scaler.fit_transform(x_train)
                x_test = scaler.fit_transform(x_test)  # expect: MOD302
                return x_train, x_test
        """),
        Good("""
            from sklearn.preprocessing import StandardScaler

            def prepare(x_train, x_test):
                scaler = StandardScaler()
                x_train = scaler.fit_transform(x_train)
                x_test = scaler.transform(x_test)
                return x_train, x_test

            def separate(x_train, x_test):
                first, second = StandardScaler(), StandardScaler()
                return first.fit_transform(x_train), second.fit_transform(x_test)
        """),
    ),
)
_HELD_OUT = late(r"(?:^|_)(?:test|val|valid|validation|eval|dev)(?:_|$|\d)", re.IGNORECASE)
_TRAINED_ON = late(r"(?:^|_)(?:train|training|tr)(?:_|$|\d)", re.IGNORECASE)
WANTED = Wanted(torch=False, every=(b".fit_transform(",), pattern=late(rb"\.fit_transform\(\s*\w*(?i:test|val|dev)"))


def look(view: View) -> Iterator[Problem]:
    """Report the same object fitted on what is named after training first, and then on what is named after testing."""
    fitted: dict[tuple[object, str], ast.Call] = {}
    for seen in view.calls():
        match seen.node:
            case (
                ast.Call(func=ast.Attribute(value=fitter, attr="fit" | "fit_transform" as how), args=[data, *_]) as call
            ):
                key = (seen.scope, ast.unparse(fitter))
                name = _name(data)
                if _TRAINED_ON.search(name) and not _HELD_OUT.search(name):
                    fitted[key] = call
                elif how == "fit_transform" and key in fitted and _HELD_OUT.search(name):
                    yield Problem(
                        place=view.place(call),
                        message=f"`{key[1]}` was fitted on the training data, and is fitted again on `{name}`",
                        remedy=f"Write `{key[1]}.transform({ast.unparse(data)})`.",
                        related=((view.place(fitted[key]), "fitted on the training data here"),),
                    )


def _name(data: ast.expr) -> str:
    while isinstance(data, ast.Subscript | ast.Call):
        data = data.value if isinstance(data, ast.Subscript) else data.func
        if isinstance(data, ast.Attribute) and isinstance(data.value, ast.Name | ast.Attribute | ast.Subscript):
            data = data.value
    return data.attr if isinstance(data, ast.Attribute) else data.id if isinstance(data, ast.Name) else ""
