"""AMP104: gradients of two optimizers are clipped together, and only one of them was unscaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stages.logic.engine.events import Clipped
from stages.logic.engine.ownership import clips_nothing_of_the_scale, made_and_kept
from stages.logic.engine.protocol import Grads
from stages.logic.problems import Problem
from verifier.api import Bad, Good, RuleInfo, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stages.logic.engine.state import State
    from stages.logic.engine.values import Key

RULE = RuleInfo(
    code="AMP104",
    name="partial-unscale-clip",
    severity=Severity.HIGH,
    summary="Parameters of several optimizers are clipped together, but not all of them were unscaled.",
    why=(
        "The norm is that of the scaled gradients, up to 65536 times too large, and clipping crushes the gradients that"
        " were unscaled along with it."
    ),
    mode="both",
    examples=(
        Bad("""
            import torch

            def train(model, loader, criterion):
                opt_body = torch.optim.AdamW(model.body.parameters(), lr=1e-4)
                opt_head = torch.optim.AdamW(model.head.parameters(), lr=1e-3)
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    opt_body.zero_grad()
                    opt_head.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(opt_body)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # expect: AMP104
                    scaler.step(opt_body)
                    scaler.step(opt_head)
                    scaler.update()
        """),
        Bad("""
            import torch

            class Trainer:
                def __init__(self, encoder, decoder):
                    self.encoder, self.decoder = encoder, decoder
                    self.opt_e = torch.optim.SGD(encoder.parameters(), lr=0.1)
                    self.opt_d = torch.optim.SGD(decoder.parameters(), lr=0.1)
                    self.scaler = torch.amp.GradScaler("cuda")

                def step(self, x):
                    self.scaler.scale(self.decoder(self.encoder(x)).mean()).backward()
                    self.scaler.unscale_(self.opt_e)
                    params = list(self.encoder.parameters()) + list(self.decoder.parameters())
                    torch.nn.utils.clip_grad_norm_(params, 1.0)  # expect: AMP104
                    self.scaler.step(self.opt_e)
                    self.scaler.step(self.opt_d)
                    self.scaler.update()
        """),
        Good("""
            import torch

            class Trainer:
                def __init__(self, model, warm_up):
                    self.model = model
                    self.scaler = torch.amp.GradScaler("cuda")
                    self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
                    if warm_up:
                        self.optimizer = torch.optim.Adam(model.parameters())  # the first one is gone

                def step(self, loss):
                    self.scaler.scale(loss).backward()
                    self.scaler.unscale_(self.optimizer)
                    torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, criterion):
                opt_body = torch.optim.AdamW(model.body.parameters(), lr=1e-4)
                opt_head = torch.optim.AdamW(model.head.parameters(), lr=1e-3)
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    opt_body.zero_grad()
                    opt_head.zero_grad()
                    with torch.autocast("cuda", dtype=torch.float16):
                        loss = criterion(model(x), y)
                    scaler.scale(loss).backward()
                    scaler.unscale_(opt_body)
                    scaler.unscale_(opt_head)
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    scaler.step(opt_body)
                    scaler.step(opt_head)
                    scaler.update()
        """),
        Good("""
            import torch

            def train(model, loader, criterion):
                opt_body = torch.optim.AdamW(model.body.parameters(), lr=1e-4)
                opt_head = torch.optim.AdamW(model.head.parameters(), lr=1e-3)
                scaler = torch.amp.GradScaler("cuda")
                for x, y in loader:
                    scaler.scale(criterion(model(x), y)).backward()
                    scaler.unscale_(opt_body)
                    torch.nn.utils.clip_grad_norm_(model.body.parameters(), 1.0)
                    scaler.step(opt_body)
                    scaler.step(opt_head)
                    scaler.update()
                    model.zero_grad()
        """),
    ),
)


def check(event: Clipped) -> Iterator[Problem]:
    """Report clipping of parameters of which some are unscaled and some still carry the scale."""
    if event.by is not None or event.guessed or clips_nothing_of_the_scale(event.limit) or not event.params.of:
        return
    held = {key: event.state.protocol.grads(key) for key in _concerned(event.state, event.params.of)}
    scaled = [key for key, grads in held.items() if grads.status is Grads.SCALED]
    unscaled = [grads for grads in held.values() if grads.status is Grads.UNSCALED and grads.unscaled_at is not None]
    if not scaled or not unscaled or unscaled[0].unscaled_at is None:
        return
    label = event.state.known[scaled[0]].label
    yield Problem(
        place=event.place,
        message=f"{event.how} clips parameters of {label}, which still carry the loss scale, with unscaled ones",
        why="The norm is that of the scaled part, so the unscaled gradients are clipped to almost nothing.",
        remedy="Call `scaler.unscale_` for every optimizer whose parameters are clipped.",
        related=((unscaled[0].unscaled_at, "only this optimizer is unscaled"),),
    )


def _concerned(state: State, of: frozenset[Key]) -> list[Key]:
    """Return the optimizers all of whose parameters are among those that are clipped."""
    return [
        key
        for key in made_and_kept(state)
        if state.known[key].owners and all(_is_part(owner, of) for owner in state.known[key].owners)
    ]


def _is_part(owner: object, of: frozenset[Key]) -> bool:
    """Say whether a module is one of those, or an attribute of one."""
    while isinstance(owner, tuple):
        if owner in of:
            return True
        if owner[:1] != ("attribute",):
            return False
        owner = owner[1]
    return False


CHECKS = {Clipped: check}
