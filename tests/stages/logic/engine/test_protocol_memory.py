"""What the protocol remembers about gradients between backward and step, and forgets when objects are remade."""

from __future__ import annotations

from stages.logic.engine.events import Backward, Clipped, Stepped, Updated
from stages.logic.engine.protocol import Turn
from tests.stages.logic.recording import followed, of


def test_an_update_is_remembered_by_gradients_that_wait_for_their_step() -> None:
    seen = followed("""
        import torch
        def step(net, x, first, second):
            scaler = torch.amp.GradScaler("cuda")
            scaler.scale(net(x).sum()).backward()
            scaler.step(first)
            scaler.update()
            scaler.step(second)
    """)
    waited = {event.optimizer.label: event.state.protocol.grads(event.optimizer.key) for event in of(seen, Stepped)}
    assert waited["first"].updated_at is None
    assert waited["second"].updated_at is not None
    assert waited["second"].updated_at.line == 7


def test_a_step_is_remembered_until_the_next_backward() -> None:
    seen = followed("""
        import torch
        def step(net, x, opt):
            scaler = torch.amp.GradScaler("cuda")
            for _ in range(2):
                scaler.scale(net(x).sum()).backward()
                scaler.step(opt)
                scaler.update()
                opt.step()
    """)
    plain = [event for event in of(seen, Stepped) if event.scaler is None]
    assert {event.state.protocol.grads(event.optimizer.key).stepped_at.line for event in plain} == {7}
    through = [event for event in of(seen, Stepped) if event.scaler is not None]
    assert {event.state.protocol.grads(event.optimizer.key).stepped_at for event in through} == {None}


def test_a_scaler_made_again_knows_nothing_but_orphans_the_optimizers_of_the_last_one() -> None:
    seen = followed("""
        import torch
        def train(net, batches, opt):
            for x in batches:
                scaler = torch.amp.GradScaler("cuda")
                scaler.scale(net(x).sum()).backward()
                scaler.step(opt)
    """)
    first, again = (event.state.protocol for event in list(of(seen, Stepped))[:2])
    assert not first.orphaned
    assert len(again.orphaned) == 1
    (pair,) = again.orphaned
    assert again.turn(*pair) is Turn.READY


def test_an_optimizer_made_again_is_nobodys() -> None:
    seen = followed("""
        import torch
        def train(net, folds):
            for x in folds:
                opt = torch.optim.SGD(net.parameters(), lr=0.1)
                scaler = torch.amp.GradScaler("cuda")
                scaler.scale(net(x).sum()).backward()
                scaler.step(opt)
    """)
    for event in of(seen, Stepped):
        assert (event.scaler.key, event.optimizer.key) not in event.state.protocol.orphaned


def test_a_loss_that_may_be_scaled_already_is_not_called_plain() -> None:
    seen = followed("""
        import torch
        def step(net, x, loss, k):
            (loss / k).backward()
            (net(x).sum() / k).backward()
            loss /= 2
            loss.backward()
    """)
    assert {event.place.line: event.certain for event in of(seen, Backward)} == {4: False, 5: True, 7: False}


def test_what_a_function_out_of_sight_makes_with_the_scaler_may_be_scaled() -> None:
    seen = followed("""
        import torch
        from elsewhere import make
        def step(net, x, build):
            scaler = torch.amp.GradScaler("cuda")
            loss = build(net(x), scaler)
            loss.backward()
    """)
    assert [event.certain for event in of(seen, Backward)] == [False]


def test_code_that_asks_the_scaler_for_its_own_records_is_trusted() -> None:
    seen = followed("""
        import torch
        class Trainer:
            def __init__(self, net, wrapped):
                self.net = net
                self.opt = torch.optim.SGD(net.parameters(), lr=0.1)
                self._scaler = wrapped.init_grad_scaler()
            def step(self, x):
                self._scaler.scale(self.net(x).sum()).backward()
                if self._scaler._per_optimizer_states[id(self.opt)]["stage"] == 0:
                    self._scaler.unscale_(self.opt)
                torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
    """)
    (by_hand,) = {
        event.state.protocol.grads(key).status.value
        for event in of(seen, Clipped)
        for key in event.state.protocol.optimizers()
        if event.state.protocol.grads(key).unscaled_at is None
    }
    assert by_hand == "unknown"


def test_a_step_with_something_that_is_no_optimizer_in_sight_leaves_nothing_certain() -> None:
    seen = followed("""
        import torch
        def train(net, x, make):
            opt = torch.optim.SGD(net.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cuda")
            scaler.scale(net(x).sum()).backward()
            scaler.step([opt])
            scaler.update()
    """)
    (update,) = of(seen, Updated)
    assert [update.state.protocol.grads(key).status.value for key in update.state.protocol.optimizers()] == ["unknown"]


def test_a_number_that_was_found_equal_to_one_is_no_larger() -> None:
    seen = followed("""
        import torch
        def step(k, opt, scaler):
            if k == 1:
                scaler.unscale_(opt)
            if k > 1:
                scaler.step(opt)
                scaler.update()
    """)
    assert all(not event.state.protocol.turns for event in of(seen, Stepped))


def test_of_two_functions_of_one_name_the_path_calls_the_one_it_defined() -> None:
    seen = followed("""
        import torch
        def train(net, x, amp):
            scaler = torch.amp.GradScaler("cuda")
            if amp:
                def run(loss):
                    return scaler.scale(loss)
            else:
                def run(loss):
                    return loss
            run(net(x).sum()).backward()
    """)
    assert [event.carries is not None for event in of(seen, Backward)] == [True, False]


def test_a_compound_test_goes_the_same_way_after_its_paths_met() -> None:
    seen = followed("""
        import torch
        def step(net, x, opt, sam, late):
            scaler = torch.amp.GradScaler("cuda")
            opt.zero_grad()
            if sam and late:
                net(x).sum().backward()
            else:
                scaler.scale(net(x).sum()).backward()
            if sam and late:
                opt.step()
            else:
                scaler.step(opt)
    """)
    plain = [event for event in of(seen, Stepped) if event.scaler is None]
    assert {event.state.protocol.grads(event.optimizer.key).status.value for event in plain} == {"plain"}


def test_one_call_that_makes_two_optimizers_makes_two() -> None:
    seen = followed("""
        import torch
        def make(net):
            return torch.optim.SGD(net.parameters(), lr=0.1)
        def step(first, second, x):
            scaler = torch.amp.GradScaler("cuda")
            optimizers = [make(first), make(second)]
            scaler.scale(second(first(x)).sum()).backward()
            for opt in optimizers:
                scaler.step(opt)
    """)
    assert len({event.optimizer.key for event in of(seen, Stepped)}) == 2


def test_a_cached_property_makes_its_scaler_once() -> None:
    seen = followed("""
        import torch
        from functools import cached_property
        class Trainer:
            @cached_property
            def scaler(self):
                return torch.amp.GradScaler("cuda")
            def run(self, net, x, opt):
                self.scaler.scale(net(x).sum()).backward()
                self.scaler.step(opt)
    """)
    made_while_running = [event for event in of(seen, Stepped) if event.state.protocol.orphaned]
    assert not made_while_running
    assert [len(event.state.protocol.used) for event in of(seen, Stepped)] == [1]


def test_an_element_of_an_unknown_list_may_be_any_optimizer_that_was_made() -> None:
    seen = followed("""
        import torch
        def train(net, x, collect):
            opt = torch.optim.SGD(net.parameters(), lr=0.1)
            scaler = torch.amp.GradScaler("cuda")
            scaler.scale(net(x).sum()).backward()
            for item in collect(opt):
                scaler.unscale_(item)
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    """)
    for event in of(seen, Clipped):
        made = next(key for key in event.state.protocol.optimizers() if key[0] == "optimizer")
        assert event.state.protocol.grads(made).status.value == "unknown"
