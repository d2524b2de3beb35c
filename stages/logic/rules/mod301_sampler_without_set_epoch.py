"""MOD301: a distributed sampler shuffles the same way in every epoch, because nobody tells it the epoch."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from stages._source.program.scopes import Function, own_nodes
from stages._source.wanted import Wanted
from stages.logic.problems import Problem
from stages.logic.training_code import backward_calls, own_calls
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope
    from stages.logic.view import View

RULE = RuleInfo(
    code="MOD301",
    name="sampler-without-set-epoch",
    severity=Severity.MEDIUM,
    summary="A distributed sampler shuffles the same way in every epoch, because nobody tells it the epoch.",
    why=(
        "`DistributedSampler` draws its order from the seed and the epoch, and the epoch stays 0 until `set_epoch` is"
        " called. Each rank sees the same samples in the same order in every epoch: batches never mix anew."
    ),
    examples=(
        Bad("""
            import torch
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler

            def train(model, dataset, optimizer, epochs):
                sampler = DistributedSampler(dataset)  # expect: MOD301
                loader = DataLoader(dataset, sampler=sampler)
                for epoch in range(epochs):
                    for x, y in loader:
                        optimizer.zero_grad()
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
        """),
        Good("""
            import torch
            from torch.utils.data import DataLoader
            from torch.utils.data.distributed import DistributedSampler

            def train(model, dataset, optimizer, epochs):
                sampler = DistributedSampler(dataset)
                loader = DataLoader(dataset, sampler=sampler)
                for epoch in range(epochs):
                    sampler.set_epoch(epoch)
                    for x, y in loader:
                        optimizer.zero_grad()
                        torch.nn.functional.mse_loss(model(x), y).backward()
                        optimizer.step()
        """),
        Good("""
            import torch
            from torch.utils.data.distributed import DistributedSampler

            def train(model, dataset, optimizer, epochs):
                sampler = DistributedSampler(dataset, shuffle=False)
                for epoch in range(epochs):
                    for index in sampler:
                        model(dataset[index]).backward()
                        optimizer.step()
        """),
    ),
)
WANTED = Wanted(every=(b"DistributedSampler(", b"backward("), never=(b"set_epoch", b"lightning", b"ccelerator"))
_SAMPLER = frozenset(["torch.utils.data.distributed.DistributedSampler", "torch.utils.data.DistributedSampler"])
_HELD_OUT = ("val", "test", "eval")


def look(view: View) -> Iterator[Problem]:
    """Report samplers that shuffle, in a function that runs several epochs with them; the file never says the epoch."""
    for node, scope in view.module.scopes.scopes.items():
        if isinstance(node, Function) and _has_epochs(node):
            for call in own_calls(node.body):
                if isinstance(call.func, ast.Name | ast.Attribute) and _shuffles(view, call, scope):
                    yield Problem(
                        place=view.place(call),
                        message="this sampler shuffles alike in every epoch: `set_epoch` is never called",
                        remedy="Call `sampler.set_epoch(epoch)` at the beginning of each epoch.",
                    )


def _has_epochs(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(
        isinstance(item, ast.For) and "epoch" in ast.unparse(item.target).lower() and bool(backward_calls(item.body))
        for item in own_nodes(function.body)
    )


def _shuffles(view: View, call: ast.Call, scope: Scope) -> bool:
    if not view.origins(call.func, scope) & _SAMPLER:
        return False
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    dataset = ast.unparse(call.args[0]).lower() if call.args else given.get("dataset", "").lower()
    parent = view.parent(call)
    target = ast.unparse(parent.targets[0]).lower() if isinstance(parent, ast.Assign) else ""
    held_out = any(word in text for word in _HELD_OUT for text in (dataset, target))
    return not held_out and given.get("shuffle", "True") == "True" and len(call.args) < 4
