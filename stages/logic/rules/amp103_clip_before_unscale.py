"""AMP103: gradients are clipped while they still carry the loss scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages._source.wanted import Wanted
from stages.logic.callbacks import callback_clips
from stages.logic.engine.events import Clipped, Stepped, Unscaled
from stages.logic.engine.ownership import clips_nothing_of_the_scale, concerned, scaler_of
from stages.logic.engine.protocol import Grads, Turn
from stages.logic.flags import flag_is_off
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.place import Place
    from stages.logic.engine.protocol import Held
    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key, Scaler
    from stages.logic.view import View

RULE = RuleInfo(
    code="AMP103",
    name="clip-before-unscale",
    severity=Severity.CRITICAL,
    summary="Gradients are clipped while they still carry the loss scale.",
    why=(
        "The scaler multiplies gradients by up to 65536, so a threshold of 1.0 clips nearly every step to almost"
        " nothing. Nothing raises: SGD stops learning, Adam hides it, and the logged norm is the scaled one."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # expect: AMP103
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Bad("""
            import torch
            from torch.nn.utils import clip_grad_norm_

            class Trainer:
                def __init__(self, model):
                    self.model = model
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, loss):
                    self.scaler.scale(loss).backward()
                    self.clip()
                    self.scaler.step(self.optimizer)
                    self.scaler.update()

                def clip(self):
                    clip_grad_norm_(self.model.parameters(), 1.0)  # expect: AMP103
        """),
        Bad("""
            # --- trainer.py
            from dataclasses import dataclass
            import torch

            @dataclass
            class TrainerConfig:
                grad_norm_clip: float = 1.0
                use_amp: bool = False

            class Trainer:
                def __init__(self, config, model, optimizer):
                    self.config, self.model, self.optimizer = config, model, optimizer
                    if self.config.use_amp:
                        self.scaler = torch.amp.GradScaler("cuda")

                def run_batch(self, loss):
                    if self.config.use_amp:
                        self.scaler.scale(loss).backward()
                        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)  # expect: AMP103
                        self.scaler.step(self.optimizer)
                        self.scaler.update()
            # --- main.py
            import torch
            from trainer import Trainer, TrainerConfig

            def main(settings, model, loss):
                optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
                Trainer(TrainerConfig(**settings["trainer"]), model, optimizer).run_batch(loss)
        """),
        Bad("""
            from torch.nn.utils import clip_grad_norm_

            class AmpWrapper:
                def backward(self, loss):
                    self.loss_scaler.scale(loss).backward()

                def step(self, params):
                    clip_grad_norm_(params, 1.0)  # expect: AMP103
                    self.loss_scaler.unscale_(self.optimizer)
                    self.loss_scaler.step(self.optimizer)
                    self.loss_scaler.update()
        """),
        Bad("""
            from torch.nn.utils import clip_grad_norm_

            def finish(model, optimizer, grad_scaler=None):
                clip_grad_norm_(model.parameters(), 1.0)  # expect: AMP103
                if grad_scaler is not None:
                    grad_scaler.step(optimizer)
                    grad_scaler.update()
                else:
                    optimizer.step()
        """),
        Bad("""
            import torch

            class AmpCallback:
                def __init__(self, clip_fn=None):
                    self.clip_fn = clip_fn
                    self.scaler = torch.amp.GradScaler("cuda")

                def on_batch_end(self, loss, optimizer):
                    self.scaler.scale(loss).backward()
                    if self.clip_fn is not None:
                        for group in optimizer.param_groups:
                            self.clip_fn(group["params"])  # expect: AMP103
                    self.scaler.step(optimizer)
                    self.scaler.update()
        """),
        Bad("""
            import torch

            class GradientClipping:
                def on_backward_end(self, trainer):
                    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), trainer.clip)  # expect: AMP103

            class Trainer:
                def __init__(self, model, callbacks):
                    self.model, self.callbacks, self.clip = model, callbacks, 1.0
                    self.optimizer = torch.optim.Adam(model.parameters())
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, batch):
                    self.scaler.scale(self.model(batch)).backward()
                    for callback in self.callbacks:
                        callback.on_backward_end(self)
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
        Good("""
            import torch

            class GradientClipping:
                def on_backward_end(self, trainer):
                    trainer.scaler.unscale_(trainer.optimizer)
                    torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), trainer.clip)

            class Trainer:
                def __init__(self, model, callbacks):
                    self.model, self.callbacks, self.clip = model, callbacks, 1.0
                    self.optimizer = torch.optim.Adam(model.parameters())
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, batch):
                    self.scaler.scale(self.model(batch)).backward()
                    for callback in self.callbacks:
                        callback.on_backward_end(self)
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
        Good("""
            import torch

            class Warmup:
                def __init__(self, params):
                    self.optimizer = torch.optim.Adam(params)
                    self.param_groups = self.optimizer.param_groups

                def step(self):
                    self.optimizer.step()

            def train(model, loader, criterion):
                scaler = torch.amp.GradScaler("cuda")
                optimizer = Warmup(model.parameters())
                for x, y in loader:
                    scaler.scale(criterion(model(x), y)).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            from torch.nn.utils import clip_grad_norm_

            def backward(scaler, optimizer, loss):
                scaler.scale(loss).backward()
                scaler.unscale_(optimizer)

            def finish(model, optimizer, scaler):  # its callers have unscaled
                clip_grad_norm_(model.parameters(), 1.0)
                scaler.step(optimizer)
                scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    optimizer.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(optimizer)
                    scaler.update()
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, unet, encoder, scaler):
                    self.unet, self.scaler = unet, scaler
                    self.first = torch.optim.SGD(unet.parameters(), lr=0.1) if unet else None
                    self.second = torch.optim.SGD(encoder.parameters(), lr=0.1) if encoder else None
                    self.optimizers = []
                    self.optimizers.append(self.first) if self.first is not None else None
                    self.optimizers.append(self.second) if self.second is not None else None

                def step(self, loss, clip):
                    self.scaler.scale(loss).backward()
                    before = torch.nn.utils.clip_grad_norm_(self.unet.parameters(), float("inf"))
                    for optimizer in self.optimizers:
                        self.scaler.unscale_(optimizer)
                    torch.nn.utils.clip_grad_norm_(self.unet.parameters(), max_norm=clip)
                    for optimizer in self.optimizers:
                        self.scaler.step(optimizer)
                    self.scaler.update()
                    return before
        """),
        Good("""
            import torch

            def train(args, model, loader, optimizer, criterion):
                scaler = torch.amp.GradScaler("cuda") if args.amp else None
                for x, y in loader:
                    with torch.autocast("cuda", enabled=args.amp):
                        loss = criterion(model(x), y)
                    optimizer.zero_grad()
                    if scaler is not None:
                        scaler.scale(loss).backward()
                        scaler.unscale_(optimizer)
                    else:
                        loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    if scaler is not None:
                        scaler.step(optimizer)
                        scaler.update()
                    else:
                        optimizer.step()
        """),
    ),
)


def check(event: Clipped) -> Iterator[Problem]:
    """Report clipping of gradients that surely carry a scale, unless the threshold carries it too."""
    if event.by is not None or clips_nothing_of_the_scale(event.limit):
        return
    for held in _clipped(event):
        yield Problem(
            place=event.place,
            message=f"{event.how} clips gradients that still carry the loss scale",
            why="They are up to 65536 times too large here, so the threshold cuts nearly all of every update away.",
            remedy="Call `scaler.unscale_(optimizer)` once, after the last backward and before clipping.",
            related=tuple((site, "scaled backward") for site in held.backwards[-1:]),
            suspicion=event.guessed or _may_be_off(event.state, held),
        )
        return


def _clipped(event: Clipped) -> Iterator[Held]:
    """Yield the gradients that are clipped and still scaled; none where some of them were unscaled."""
    protocol = event.state.protocol
    keys = concerned(event.state, event.params)
    if any(_was_unscaled(event.state, key) for key in protocol.optimizers() if not event.state.known[key].owners):
        return  # an optimizer whose parameters are not known may wrap the one that has these
    held = [protocol.grads(key) for key in keys] or [protocol.others]
    if all(item.status is Grads.SCALED for item in held):
        yield held[0]


def _was_unscaled(state: State, key: Key) -> bool:
    return state.protocol.grads(key).status is Grads.UNSCALED


def _may_be_off(state: State, held: Held) -> bool:
    """Say whether a test on this path found AMP off, which a scaler that was made elsewhere may go by too."""
    scaler = scaler_of(state, held.scaler)
    return (scaler is None or scaler.assumed) and flag_is_off(state)


def check_unscale(event: Unscaled) -> Iterator[Problem]:
    """Report a clipping that unscale_ follows, with nothing between: it met what unscale_ still had to divide."""
    held = event.state.protocol.grads(event.optimizer.key)
    if held.clipped_at is not None and event.scaler.enabled is not False:
        yield _afterwards(held.clipped_at, event.place, event.scaler, "unscaled only here")


def check_step(event: Stepped) -> Iterator[Problem]:
    """Report a clipping that the scaler's step follows, in files where nobody unscales: the step itself does."""
    scaler = event.scaler
    if scaler is None or scaler.enabled is False or scaler.kind == "custom":
        return
    protocol = event.state.protocol
    at = protocol.grads(event.optimizer.key).clipped_at
    if at is None or protocol.turn(scaler.key, event.optimizer.key) is not Turn.READY:
        return
    if not any("unscale" in line for place in (at, event.place) for line in place.module.lines):
        yield _afterwards(at, event.place, scaler, "unscaled only inside of this step")


def _afterwards(at: Place, later: Place, scaler: Scaler, what: str) -> Problem:
    return Problem(
        place=at,
        message="Gradients are clipped before they are unscaled",
        why="With the scaler on they are up to 65536 times too large here, and the threshold cuts nearly all away.",
        remedy=f"Call `{scaler.label}.unscale_(optimizer)` before clipping.",
        related=((later, what),),
        scaler=scaler,
    )


READS = Wanted(every=(b"caler",))


def inspect(view: View) -> Iterator[Problem]:
    """Report callbacks that clip the gradients of a trainer whose loss is scaled and which nobody unscales."""
    for found in callback_clips(view):
        yield Problem(
            place=found.place,
            message="this callback clips gradients of a trainer that scales its loss, and nothing in sight unscales",
            why="If it runs between the backward and the scaler's step, the threshold meets scaled gradients.",
            remedy="Let it call `trainer.scaler.unscale_(trainer.optimizer)` first, where there is a scaler.",
            related=((found.scaled, "the loss is scaled here"),),
            suspicion=True,
        )


CHECKS = {Clipped: check, Unscaled: check_unscale, Stepped: check_step}
