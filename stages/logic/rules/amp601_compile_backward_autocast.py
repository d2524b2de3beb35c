"""AMP601: a compiled model with an fp32 region gets its backward under the forward's autocast."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.kinds import last_name
from stages._source.program.origins import classes, instances, lineage, resolve_bindings
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP601",
    name="compile-backward-autocast",
    severity=Severity.HIGH,
    summary="A compiled model with an fp32 region gets its backward under the forward's autocast.",
    why=(
        "torch.compile traces backward under the autocast that is on where the compiled model is called, unlike eager"
        " backward, which runs outside of it. In regions kept in fp32 with `enabled=False` the gradients are computed"
        " in half: they differ from eager ones and overflow where eager ones do not. Nothing says so."
    ),
    mode="static",
    unseen=("The sanitizer looks at eager steps; where a program compiles, AMP603 says what could not be seen."),
    examples=(
        Bad("""
            import torch

            class Net(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = torch.nn.Linear(8, 8)

                def forward(self, x):
                    h = self.body(x)
                    with torch.autocast("cuda", enabled=False):
                        return (h.float() @ h.float().t()).logsumexp(-1)

            def train(loader, lr):
                net = Net().cuda()
                compiled = torch.compile(net)  # expect: AMP601
                optimizer = torch.optim.SGD(net.parameters(), lr=lr)
                for batch in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = compiled(batch).mean()
                    loss.backward()
                    optimizer.step()
        """),
        Good("""
            import torch
            import torch._functorch.config

            torch._functorch.config.backward_pass_autocast = "off"

            class Net(torch.nn.Module):
                def forward(self, x):
                    with torch.autocast("cuda", enabled=False):
                        return (x.float() @ x.float().t()).logsumexp(-1)

            def train(loader, lr):
                net = torch.compile(Net())
                for batch in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = net(batch).mean()
                    loss.backward()
        """),
        Good("""
            import torch

            class Plain(torch.nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = torch.nn.Linear(8, 8)

                def forward(self, x):
                    return self.body(x)

            class Island(torch.nn.Module):
                def forward(self, x):
                    with torch.autocast("cuda", enabled=False):
                        return x.float().exp()

            def train(loader, model):
                plain = torch.compile(Plain())
                other = torch.compile(model)
                eager = Island()
                for batch in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):
                        loss = plain(batch).mean() + other(batch).mean() + eager(batch).mean()
                    loss.backward()
        """),
    ),
)
_SETTING = "backward_pass_autocast"
_DEEPEST = 3


READS = Wanted(every=(b"compile", b"autocast"))


def inspect(view: View) -> Iterator[Problem]:
    """Report `torch.compile` of such a model that the file calls under autocast."""
    compiled = [seen for seen in view.calls() if _compiles(view, seen)]
    regions = [region for region in Regions(view).all() if not region.off] if compiled else []
    if not regions or any(_SETTING in line for module in view.project.modules for line in module.lines):
        return
    for seen in compiled:
        call = seen.node
        assert isinstance(call, ast.Call)
        called = next((region for region in regions if _calls(region.node, view.parent(call))), None)
        if called is None:
            continue
        island = next((found for cls in _modules(view, call.args[0], seen.scope) for found in _islands(cls)), None)
        if island is None:
            continue
        yield Problem(
            place=view.place(call),
            message="the compiled model has an fp32 region, but its backward runs under the autocast of the forward",
            why=f"Gradients of the region at line {island.lineno} are computed in half, other than in eager mode.",
            remedy='Set `torch._functorch.config.backward_pass_autocast = "off"` before compiling.',
            related=((view.place(called.call), "the compiled model is called under this autocast"),),
        )


def _compiles(view: View, seen: Seen) -> bool:
    call = seen.node
    return isinstance(call, ast.Call) and bool(call.args) and "torch.compile" in view.origins(call.func, seen.scope)


def _modules(view: View, model: ast.expr, scope: Scope, depth: int = 0) -> Iterator[Scope]:
    """Yield the project's classes that a model is made of, those of its attributes included."""
    found = instances(view.project, model, scope)
    while not found and isinstance(model, ast.Call | ast.Attribute):  # Net().cuda()
        model = model.func if isinstance(model, ast.Call) else model.value
        found = instances(view.project, model, scope)
    if not found:
        for binding in resolve_bindings(view.project, model, scope):
            if isinstance(binding.value, ast.Call) and isinstance(binding.value.func, ast.Attribute):
                found += instances(view.project, binding.value.func.value, binding.scope)
    for cls in found:
        yield from _parts(view, cls, depth)


def _parts(view: View, cls: Scope, depth: int) -> Iterator[Scope]:
    for base in lineage(view.project, cls):
        yield base
        for bindings in base.attributes.values() if depth < _DEEPEST else ():
            for binding in bindings:
                if isinstance(binding.value, ast.Call):
                    for inner in classes(view.project, binding.value.func, binding.scope):
                        yield from _parts(view, inner, depth + 1)


def _islands(cls: Scope) -> Iterator[ast.Call]:
    for node in ast.walk(cls.node):
        if isinstance(node, ast.Call) and last_name(node.func) == "autocast":
            for keyword in node.keywords:
                if keyword.arg == "enabled" and isinstance(keyword.value, ast.Constant) and not keyword.value.value:
                    yield node


def _calls(region: ast.AST, bound: ast.AST | None) -> bool:
    """Say whether the name that a compiled model is bound to is called in a region."""
    targets = {ast.unparse(target) for target in bound.targets} if isinstance(bound, ast.Assign) else set()
    return any(isinstance(node, ast.Call) and ast.unparse(node.func) in targets for node in ast.walk(region))
