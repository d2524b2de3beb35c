"""AMP206: a thread is started inside an autocast context, which does not hold in the thread."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program.origins import functions, resolve_bindings
from stages._source.program.scopes import own_nodes
from stages._source.wanted import Wanted
from stages.logic.half_values import is_called_like_model
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP206",
    name="autocast-not-in-thread",
    severity=Severity.MEDIUM,
    summary="A thread is started inside an autocast context, which does not hold in the thread.",
    why=(
        "Autocast is a state of one thread. A model that runs in another one, started inside the context or not, runs"
        " in fp32: nothing is saved, and its results differ in type from those of the first thread."
    ),
    mode="both",
    examples=(
        Bad("""
            import threading
            import torch

            def run(model, batches, found):
                def work(batch):
                    found.append(model(batch))

                with torch.autocast("cuda", dtype=torch.bfloat16):
                    threads = [threading.Thread(target=work, args=(batch,)) for batch in batches]  # expect: AMP206
                    for thread in threads:
                        thread.start()
                    for thread in threads:
                        thread.join()
        """),
        Bad("""
            from concurrent.futures import ThreadPoolExecutor
            import torch

            class Runner:
                def one(self, batch):
                    return self.model(batch)

                def every(self, batches):
                    pool = ThreadPoolExecutor(4)
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        return list(pool.map(self.one, batches))  # expect: AMP206
        """),
        Good("""
            import threading
            import torch

            def run(model, batches, found, log):
                def work(batch):
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        found.append(model(batch))

                def write():
                    log.write("half done")

                with torch.autocast("cuda", dtype=torch.bfloat16):
                    threading.Thread(target=work, args=(batches[0],)).start()
                    threading.Thread(target=write).start()
                    found.append(model(batches[1]))
        """),
    ),
)
_THREAD = late(r"threading\.Thread")
_POOL = late(r"concurrent\.futures(?:\.thread)?\.ThreadPoolExecutor|multiprocessing\.(?:pool|dummy)\.(?:Thread)?Pool")


READS = Wanted(every=(b"autocast",))


def inspect(view: View) -> Iterator[Problem]:
    """Report threads whose code runs a model and enters no autocast of its own."""
    regions = Regions(view)
    for seen in view.calls():
        target = _target(view, seen)
        if target is None:
            continue
        region = regions.around(seen.node)
        if region is None or region.off:
            continue
        if any(_runs_a_model(scope) for scope in functions(view.project, target, seen.scope)):
            yield Problem(
                place=view.place(seen.node),
                message=f"`{ast.unparse(target)}` runs in another thread, where this autocast does not hold",
                why="The model in it runs in fp32 there.",
                remedy="Enter `with torch.autocast(...):` inside the function that the thread runs.",
                related=((view.place(region.call), "autocast is entered"),),
            )


def _target(view: View, seen: Seen) -> ast.expr | None:
    """Return the function that a call has run in another thread."""
    call = seen.node
    assert isinstance(call, ast.Call)
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("submit", "map") and call.args:
        return call.args[0] if _is_pool(view, call.func.value, seen.scope) else None
    targets = [keyword.value for keyword in call.keywords if keyword.arg == "target"]
    if targets and any(_THREAD.fullmatch(name) for name in view.origins(call.func, seen.scope)):
        return targets[0]
    return None


def _is_pool(view: View, node: ast.expr, scope: Scope) -> bool:
    return any(
        isinstance(binding.value, ast.Call)
        and any(_POOL.fullmatch(name) for name in view.origins(binding.value.func, binding.scope))
        for binding in resolve_bindings(view.project, node, scope)
    )


def _runs_a_model(scope: Scope) -> bool:
    body = getattr(scope.node, "body", [])
    nodes = list(own_nodes(body))
    if any("autocast" in getattr(node, "attr", getattr(node, "id", "")) for node in nodes):
        return False
    return any(isinstance(node, ast.Call) and is_called_like_model(node.func) for node in nodes)
