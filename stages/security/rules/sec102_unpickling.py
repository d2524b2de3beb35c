"""SEC102: a pickle is loaded, so that whoever wrote it runs code here."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.security.loads import how_bad, origin_of
from stages.security.problem import Problem
from stages.security.view import shown
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.security.view import View

RULE = RuleInfo(
    code="SEC102",
    name="unpickling",
    severity=Severity.INFO,
    summary="A pickle is loaded, so that whoever wrote it runs code here.",
    why=(
        "pickle, cloudpickle, dill, joblib, shelve and pandas.read_pickle run what they read. It is HIGH where it"
        " comes over the network from an address that the code does not name, MEDIUM from a fixed https address, LOW"
        " where the command line names the file, INFO elsewhere: data sets of one's own are often kept that way."
    ),
    examples=(
        Bad("""
            import pickle
            import sys
            from urllib.request import urlopen

            import joblib


            def fetch(url):
                return pickle.loads(urlopen(url).read())  # expect: SEC102


            def read(path):
                with open(path, "rb") as file:
                    return pickle.load(file)  # expect: SEC102


            def scaler():
                return joblib.load(sys.argv[1])  # expect: SEC102
        """),
        Good("""
            import json
            import pickle


            def copy(value):
                return pickle.loads(pickle.dumps(value))


            def read(path):
                with open(path) as file:
                    return json.load(file)
        """),
    ),
)
_MODULES = ("pickle", "cPickle", "_pickle", "six.moves.cPickle", "dill", "cloudpickle", "pickle5")
_LOADS = frozenset(
    [f"{module}.{name}" for module in _MODULES for name in ("load", "loads", "Unpickler")]
    + ["joblib.load", "sklearn.externals.joblib.load", "pandas.read_pickle", "shelve.open"]
)
_DUMPS = frozenset(f"{module}.dumps" for module in _MODULES)
WANTED = Wanted(
    torch=False,
    some=(b"import pickle", b"from pickle", b"Pickle", b"read_pickle", b"cloudpickle", b"dill", b"joblib", b"shelve"),
)


def look(view: View) -> Iterator[Problem]:
    """Report loads; what was pickled in the same breath is a copy."""
    for call, scope, name in view.calls_of(_LOADS):
        data = call.args[0] if call.args else next((item.value for item in call.keywords), None)
        if data is None or _is_copy(view, data, scope):
            continue
        yield Problem(
            node=call,
            severity=how_bad(view, data, scope, unknown=Severity.INFO, command_line=Severity.LOW),
            message=f"`{shown(call)}` runs what the pickle says; it comes from {origin_of(view, data, scope)}",
            remedy="Keep data as JSON, safetensors, npz or parquet; "
            + ("scikit-learn models as skops." if "joblib" in name else "a pickle only where you wrote it yourself."),
            cause=f"{view.label(call)} {name}",
        )


def _is_copy(view: View, data: ast.expr, scope: Scope) -> bool:
    return bool(view.made_by(data, scope) & _DUMPS)
