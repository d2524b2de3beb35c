"""AMP209: autocast is on for a device that the tensors are not on, or is given an object instead of a name."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from stages._source.patterns import late
from stages._source.program import vocabulary
from stages._source.program.kinds import last_name
from stages._source.program.origins import resolve_bindings
from stages._source.wanted import Wanted
from stages.logic.autocasts import argument, made_contexts
from stages.logic.problems import Problem
from stages.logic.regions import Regions
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages._source.program.scopes import Scope, Seen
    from stages.logic.regions import Region
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP209",
    name="autocast-device-mismatch",
    severity=Severity.HIGH,
    summary="Autocast is on for a device that the tensors are not on, or gets an object instead of a device's name.",
    why=(
        "A context casts only operations on its own device type; for tensors elsewhere it is a silent no-op, and"
        " training goes on in fp32. Given a `torch.device` instead of its `type` it raises ValueError."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer):
                device = torch.device("cuda")
                model.to(device)
                for x, y in loader:
                    with torch.autocast(device, dtype=torch.bfloat16):  # expect: AMP209
                        loss = model(x.to(device), y.to(device))
                    loss.backward()
                    optimizer.step()
        """),
        Bad("""
            import torch

            def train(model, loader, optimizer):
                model.cuda()
                for x, y in loader:
                    with torch.autocast("cpu", dtype=torch.bfloat16):  # expect: AMP209
                        loss = model(x.cuda(), y.cuda())
                    loss.backward()
                    optimizer.step()
        """),
        Bad("""
            import torch
            from accelerate import Accelerator

            def train(model, loader, optimizer):
                accelerator = Accelerator()
                device = accelerator.device
                model.to(device)
                for batch in loader:
                    with torch.autocast("cuda", dtype=torch.bfloat16):  # expect: AMP209
                        loss = model(batch.to(device))
                    accelerator.backward(loss)
                    optimizer.step()
        """),
        Bad("""
            import torch

            def settings(device: torch.device):
                dtype = torch.bfloat16 if device.type == "cpu" else torch.float16
                device_type = "cuda" if device.type == "cuda" else "cpu"  # expect: AMP209
                return dtype, device_type

            def loss_of(net, x):
                dtype, device_type = settings(x.device)
                with torch.autocast(device_type, dtype=dtype):
                    return net(x).mean()
        """),
        Good("""
            import torch

            def settings(device: torch.device):
                dtype = torch.bfloat16 if device.type == "cpu" else torch.float16
                return dtype, device.type

            def loss_of(net, x):
                dtype, device_type = settings(x.device)
                with torch.autocast(device_type, dtype=dtype):
                    return net(x).mean()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, name):
                device = torch.device(name)
                model.to(device)
                for x, y in loader:
                    with torch.autocast(device.type, dtype=torch.bfloat16):
                        loss = model(x.to(device), y.to(device))
                    with torch.autocast(x.device.type, dtype=torch.bfloat16):
                        loss = loss + model(x.to(device), y.to(device))
                    loss.backward()
                    optimizer.step()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer):
                device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
                model.to(device)
                for x, y in loader:
                    with torch.autocast("cuda", dtype=torch.float16, enabled=device.type == "cuda"):
                        loss = model(x.to(device), y.to(device))
                    loss.backward()
                    optimizer.step()

            def predict(model, x, name: str):
                with torch.autocast(name), torch.no_grad():
                    return model(x).cpu()
        """),
        Good("""
            import torch

            def compare(model, x):
                with torch.autocast("cuda:0"):
                    on_gpu = model.to("cuda:0")(x.to("cuda:0"))
                if not torch.cuda.is_available():
                    with torch.autocast("cpu"):
                        return model(x)
                return on_gpu
        """),
    ),
)
_DEVICE = late(r"torch\.device")
_TYPES = ("cuda", "mps", "xpu", "mtia", "hpu", "npu")


READS = Wanted(some=(b"autocast", b'else "cpu"', b"else 'cpu'"))


def inspect(view: View) -> Iterator[Problem]:
    """Report device objects, literal types that differ from every move in the function, and types fixed too early."""
    yield from _two_kinds(view)
    for seen in made_contexts(view):
        device = argument(view, seen, "device_type")
        if device is not None and _is_device_object(view, device, seen.scope):
            yield _of_object(view, device)
    for region in Regions(view).all():
        if region.device is None or region.off or _is_conditional(view, region):
            continue
        moves = [one for one in view.calls() if one.scope is region.scope and _is_move(one.node)]
        found = {place for one in moves if (place := _literal(view, one)) is not None}
        if len(found) == 1 and region.device not in found:
            yield _of_region(view, region, found.pop(), moves)
        elif not found and _is_fixed(region) and any(_may_be_any(view, one) for one in moves):
            yield _of_runtime(view, region)


def _two_kinds(view: View) -> Iterator[Problem]:
    """Report `"cuda" if device.type == "cuda" else "cpu"`: a device has more types than these."""
    for node in ast.walk(view.module.tree) if view.mentions('else "cpu"') or view.mentions("else 'cpu'") else ():
        match node:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.IfExp(
                    test=ast.Compare(left=ast.Attribute(attr="type") as asked, ops=[ast.Eq()]),
                    body=ast.Constant(value="cuda"),
                    orelse=ast.Constant(value="cpu"),
                ) as choice,
            ) if re.search(r"device|autocast|amp", name):
                yield Problem(
                    place=view.place(choice),
                    message=f"autocast is turned on for the CPU where `{ast.unparse(asked)}` is another accelerator's",
                    why="There the context casts nothing, and nothing says so.",
                    remedy=f"Take the type as it is: `{ast.unparse(asked)}`.",
                    severity=Severity.INFO,
                    suspicion=True,
                )


def _of_object(view: View, device: ast.expr) -> Problem:
    return Problem(
        place=view.place(device),
        message=f"autocast gets the device object `{ast.unparse(device)}`, but its first parameter is a name",
        why="It raises ValueError: expected `device_type` of type `str`.",
        remedy=f"Write `{ast.unparse(device)}.type`.",
    )


def _of_region(view: View, region: Region, other: str, moves: list[Seen]) -> Problem:
    moved = next(one for one in moves if _literal(view, one) == other)
    return Problem(
        place=view.place(region.call),
        message=f"autocast is on for {region.device}, but this function moves its tensors to {other}",
        why=f"Operations on {other} are not cast: the context does nothing, and nothing says so.",
        remedy=f'Write `torch.autocast("{other}", ...)`, or take the type from a tensor: `x.device.type`.',
        related=((view.place(moved.node), f"moved to {other}"),),
    )


def _of_runtime(view: View, region: Region) -> Problem:
    return Problem(
        place=view.place(region.call),
        message=f"autocast is fixed to {region.device}, but the device is chosen at run time",
        why="On any other accelerator the context does nothing.",
        remedy="Take the type from the device: `torch.autocast(device.type, ...)`.",
        suspicion=True,
    )


def _is_device_object(view: View, node: ast.expr, scope: Scope) -> bool:
    """Say whether every value that an expression can have was made by `torch.device(...)`."""
    if isinstance(node, ast.Call):
        return any(_DEVICE.fullmatch(name) for name in view.origins(node.func, scope))
    if not isinstance(node, ast.Name | ast.Attribute):
        return False
    bindings = resolve_bindings(view.project, node, scope)
    return bool(bindings) and all(
        binding.how == "value"
        and isinstance(binding.value, ast.Call)
        and _is_device_object(view, binding.value, binding.scope)
        for binding in bindings
    )


def _is_conditional(view: View, region: Region) -> bool:
    """Say whether a test around the region, or its own `enabled`, may see to the device."""
    if any(keyword.arg == "enabled" for keyword in region.call.keywords):
        return True
    node: ast.AST | None = region.node
    while node is not None and node is not region.scope.node:
        if isinstance(node, ast.If | ast.IfExp | ast.Try | ast.Match):
            return True
        node = view.parent(node)
    return False


def _is_fixed(region: Region) -> bool:
    """Say whether the type is written as an argument: `torch.cuda.amp.autocast` is code for CUDA anyway."""
    return any(isinstance(part, ast.Constant) and part.value == region.device for part in ast.walk(region.call))


def _is_move(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("to", "cuda")


def _literal(view: View, seen: Seen) -> str | None:
    """Return the accelerator that a move literally names. Results are moved to the CPU anyway: that says nothing."""
    call = seen.node
    assert isinstance(call, ast.Call)
    if isinstance(call.func, ast.Attribute) and call.func.attr == "cuda":
        return "cuda"
    for item in [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "device")]:
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            found = item.value.partition(":")[0]
            return found if found in _TYPES else None
    return None


def _may_be_any(view: View, seen: Seen) -> bool:
    """Say whether a move goes where a framework, or a choice among several accelerators, says."""
    call = seen.node
    assert isinstance(call, ast.Call)
    if len(call.args) != 1 or not isinstance(call.args[0], ast.Name | ast.Attribute):
        return False
    target = call.args[0]
    values = [binding.value for binding in resolve_bindings(view.project, target, seen.scope)]
    return any(_is_chosen(value) for value in [target, *values] if value is not None)


def _is_chosen(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute) and node.attr == "device":
        return vocabulary.called_like_framework(last_name(node.value))
    names = {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}
    return bool(names & {"mps", "xpu", "npu", "hpu"})
