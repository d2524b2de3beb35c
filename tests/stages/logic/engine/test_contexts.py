"""Autocast contexts: what an open one remembers of the training steps that ran inside of it."""

from __future__ import annotations

from stages.logic.engine.events import AutocastLeft, Backward, Called
from tests.stages.logic.recording import followed, of

LOOP_INSIDE = """
    import torch
    def train(model, loader, optimizer):
        with torch.autocast("cuda"):
            for batch in loader:
                model(batch).sum().backward()
                optimizer.step()
"""


def test_a_context_around_a_loop_remembers_the_step_at_the_next_backward() -> None:
    again = [event.state.contexts[0] for event in of(followed(LOOP_INSIDE), Backward)]
    assert again[0].stepped_at is None
    assert [place.line for place in again[1].backwards] == [6]
    assert again[1].stepped_at.line == 7
    assert again[1].looped == {"backward", "step"}


def test_a_context_inside_a_loop_forgets_with_every_turn() -> None:
    seen = followed("""
        import torch
        def train(model, loader, optimizer):
            for batch in loader:
                with torch.autocast("cuda"):
                    model(batch).sum().backward()
                    optimizer.step()
    """)
    assert all(not event.state.contexts[0].backwards for event in of(seen, Backward))
    assert {event.active.looped for event in of(seen, AutocastLeft)} == {frozenset()}


def test_a_step_after_the_loop_of_an_accumulation_did_not_loop() -> None:
    seen = followed("""
        import torch
        def train(model, parts, optimizer):
            with torch.autocast("cuda"):
                for part in parts:
                    model(part).sum().backward()
                optimizer.step()
    """)
    assert {event.active.looped for event in of(seen, AutocastLeft)} == {frozenset({"backward"})}


def test_a_framework_that_trains_in_full_precision_enters_nothing() -> None:
    seen = followed("""
        from accelerate import Accelerator
        def train(model, batch):
            accelerator = Accelerator(mixed_precision="no")
            with accelerator.autocast():
                accelerator.backward(model(batch).sum())
    """)
    assert [event.state.contexts[0].context.enabled for event in of(seen, Backward)] == [False]


def test_the_call_of_a_module_of_the_library_is_heard_of() -> None:
    seen = followed("""
        import torch
        def loss(x, y):
            criterion = torch.nn.BCELoss()
            return criterion(x, y)
    """)
    assert [event.receiver.label for event in of(seen, Called) if event.name == ".__call__"] == ["BCELoss"]


def test_a_decorator_is_left_when_the_function_returns() -> None:
    seen = followed("""
        import torch
        @torch.autocast("cuda")
        def train(model, batch):
            model(batch).sum().backward()
        @torch.autocast("cuda", dtype=torch.bfloat16)
        def helper(model, batch):
            model(batch).sum().backward()
        def main(model, batch):
            helper(model, batch)
    """)
    left = [event.active for event in of(seen, AutocastLeft)]
    assert {active.context.dtype: [place.line for place in active.backwards] for active in left} == {
        "float16": [5],
        "bfloat16": [8],
    }


def test_a_backward_where_autocast_is_off_does_not_count_for_the_context_around_it() -> None:
    seen = followed("""
        import torch
        def train(model, batch):
            with torch.autocast("cuda"):
                loss = model(batch).sum()
                with torch.autocast("cuda", enabled=False):
                    loss.backward()
    """)
    assert {event.active.backwards for event in of(seen, AutocastLeft)} == {()}


def test_a_partial_of_autocast_makes_a_context_of_what_it_was_given_first_and_last() -> None:
    seen = followed("""
        import torch
        from functools import partial

        class Trainer:
            def __init__(self, model, dtype):
                self.model = model
                self.autocast = partial(torch.autocast, device_type="cuda", dtype=torch.bfloat16)

            def step(self, batch):
                with self.autocast(cache_enabled=False):
                    self.model(batch).sum().backward()
    """)
    contexts = {event.state.contexts[0].context for event in of(seen, Backward)}
    assert [(one.device, one.dtype, one.cached) for one in contexts] == [("cuda", "bfloat16", False)]
