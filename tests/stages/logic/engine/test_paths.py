"""Paths: what is told apart, what is merged, and what a test on one of them says about a later one."""

from __future__ import annotations

from stages.logic.engine.events import Backward, Clipped, LoopAgain, Stepped, Updated
from stages.logic.engine.protocol import Grads
from tests.stages.logic.recording import followed, of


def grads_at(seen: list, kind: type) -> set[Grads]:
    """Return what the gradients of the optimizers hold where such an event happens, over all paths."""
    found = set()
    for event in of(seen, kind):
        protocol = event.state.protocol
        found |= {protocol.grads(key).status for key in protocol.optimizers()} or {protocol.others.status}
    return found


def test_a_flag_that_is_tested_twice_goes_the_same_way_twice() -> None:
    seen = followed("""
        import torch
        def step(args, loss, optimizer, params):
            scaler = torch.amp.GradScaler("cuda", enabled=args.amp)
            optimizer.zero_grad()
            if args.amp:
                scaler.scale(loss.mean()).backward()
                scaler.unscale_(optimizer)
            else:
                loss.mean().backward()
            torch.nn.utils.clip_grad_norm_(params, 1.0)
            if args.amp:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
    """)
    assert grads_at(seen, Clipped) == {Grads.UNSCALED, Grads.PLAIN}
    through_scaler = {grads_at([event], Stepped).pop() for event in of(seen, Stepped) if event.scaler}
    assert through_scaler == {Grads.UNSCALED}


def test_a_scaler_that_is_none_on_the_other_path_is_not_used_there() -> None:
    seen = followed("""
        import torch
        def step(use_amp, loss, optimizer):
            scaler = torch.amp.GradScaler("cuda") if use_amp else None
            loss = loss.mean()
            (loss if scaler is None else scaler.scale(loss)).backward()
            if scaler:
                scaler.step(optimizer)
            else:
                optimizer.step()
    """)
    assert {(grads_at([event], Stepped).pop(), event.scaler is None) for event in of(seen, Stepped)} == {
        (Grads.SCALED, False),
        (Grads.PLAIN, True),
    }


def test_a_helper_is_followed_with_what_it_is_given() -> None:
    seen = followed(
        """
        import torch
        from helpers import apply
        def train(model, batches):
            scaler = torch.amp.GradScaler("cuda")
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            for batch in batches:
                scaler.scale(model(batch).sum()).backward()
                apply(scaler, optimizer)
        """,
        helpers="""
        def apply(grad_scaler, opt):
            grad_scaler.unscale_(opt)
            finish(grad_scaler, opt)
        def finish(amp_scaler, o):
            amp_scaler.step(o)
            amp_scaler.update()
        """,
    )
    assert grads_at(seen, Stepped) == {Grads.UNSCALED}
    assert {event.scaler.assumed for event in of(seen, Stepped)} == {False}
    assert {event.place.module.path for event in of(seen, Updated)} == {"helpers.py"}


def test_what_the_constructor_made_is_what_the_method_uses() -> None:
    seen = followed("""
        import torch
        class Trainer:
            def __init__(self, model, amp):
                self.optimizer = torch.optim.Adam(model.parameters())
                self.scaler = torch.amp.GradScaler("cuda", enabled=amp)
            def step(self, loss):
                self.scaler.scale(loss.sum()).backward()
                self.scaler.step(self.optimizer)
                self.scaler.update()
    """)
    steps = list(of(seen, Stepped))
    assert {step.scaler.enabled for step in steps} == {True, False}
    assert not any(step.optimizer.assumed for step in steps)


def test_the_second_turn_of_a_loop_starts_with_what_the_first_left() -> None:
    seen = followed("""
        import torch
        def train(model, loader, optimizer):
            scaler = torch.amp.GradScaler("cuda")
            for batch in loader:
                scaler.scale(model(batch).sum()).backward()
                scaler.unscale_(optimizer)
    """)
    assert any(True for _ in of(seen, LoopAgain))
    assert grads_at(seen, Backward) == {Grads.UNKNOWN, Grads.UNSCALED, Grads.MIXED}


def test_two_optimizers_in_a_list_are_stepped_one_by_one() -> None:
    seen = followed("""
        import torch
        def train(a, b, loss):
            scaler = torch.amp.GradScaler("cuda")
            optimizers = [torch.optim.SGD(a.parameters(), 0.1), torch.optim.SGD(b.parameters(), 0.1)]
            scaler.scale(loss.sum()).backward()
            for optimizer in optimizers:
                scaler.step(optimizer)
            scaler.update()
    """)
    assert len({event.optimizer.key for event in of(seen, Stepped)}) == 2


def test_what_code_out_of_sight_may_have_unscaled_is_not_known() -> None:
    seen = followed("""
        import torch
        from elsewhere import prepare_gradients
        def train(model, loss, optimizer):
            scaler = torch.amp.GradScaler("cuda")
            scaler.scale(loss.sum()).backward()
            prepare_gradients(scaler, optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
    """)
    assert grads_at(seen, Clipped) == {Grads.UNKNOWN}


def test_a_scaler_that_was_used_is_there_in_what_is_called_afterwards() -> None:
    seen = followed("""
        def move(optimizer, scaler=None):
            if scaler:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()

        def step(loss, optimizer, scaler):
            scaler.scale(loss.mean()).backward()
            move(optimizer, scaler)
    """)
    assert [event.scaler is None for event in of(seen, Stepped)] == [False]
