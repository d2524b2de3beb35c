"""Starting and stopping anywhere, beside whatever else is going on, and failing without harm."""

from __future__ import annotations

import json
import threading

import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from amp_runtime import wire
from amp_runtime.instrument.deep import session as session_module
from amp_runtime.instrument.deep.records import RULES, DeepStep
from amp_runtime.instrument.deep.watch import DeepWatch
from tests.amp_runtime.instrument.deep.looking import amp_step, look


class Seeing(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.seen.append(func)
        return func(*args, **(kwargs or {}))


def depth():
    return torch._C._len_torch_dispatch_stack()


def model_and_step():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
    return model, amp_step(model, torch.randn(4, 8), lambda y: y.float().square().mean())


@pytest.fixture(autouse=True)
def _nothing_is_left():
    yield
    assert depth() == 0
    assert not hasattr(torch.set_autocast_enabled, "__wrapped__")


def test_a_record_crosses_the_wire_whole():
    _, step = model_and_step()
    record = look(step)
    assert wire.from_json(DeepStep, json.loads(json.dumps(wire.to_json(record)))) == record
    assert all(code.startswith("AMP") for codes in RULES.values() for code in codes)


def test_a_watch_can_be_used_again_and_each_step_is_by_itself():
    _, step = model_and_step()
    watch = DeepWatch()
    records = []
    for _ in range(3):
        watch.start()
        step()
        records.append(watch.stop())
    assert records[1].operators == records[2].operators > 30
    assert records[0].gradients != records[1].gradients


def test_starting_twice_and_stopping_what_has_not_begun_are_mistakes():
    watch = DeepWatch()
    with pytest.raises(RuntimeError, match="start first"):
        watch.stop()
    watch.start()
    with pytest.raises(RuntimeError, match="being watched already"):
        watch.start()
    assert watch.stop().operators == 0
    with pytest.raises(ValueError, match="at least 0"):
        DeepWatch(budget_bytes=-1)


def test_modes_of_the_program_keep_their_place_whatever_the_order():
    watch, outer, inner = DeepWatch(), Seeing(), Seeing()
    with outer:
        watch.start()
        torch.ones(2).add(1)
        with inner:
            torch.ones(2).mul(2)
            record = watch.stop()
            assert depth() == 2
            torch.ones(2).div(3)
        assert depth() == 1
    assert record.operators == 4
    assert [func._overloadpacket.__name__ for func in inner.seen] == ["ones", "mul", "ones", "div"]
    assert [func._overloadpacket.__name__ for func in outer.seen] == ["ones", "add", *["ones", "mul"], *["ones", "div"]]


def test_a_flop_counter_beside_us_counts_the_program_only():
    def flops(watched):
        watch = DeepWatch()
        with FlopCounterMode(display=False) as counter:
            if watched:
                watch.start()
            torch.randn(4, 8, dtype=torch.bfloat16) @ torch.randn(8, 4, dtype=torch.bfloat16)
            if watched:
                watch.stop()
        return counter.get_total_flops()

    assert flops(watched=True) == flops(watched=False) == 256


def test_started_and_stopped_in_hooks_of_the_forward_pass_and_the_optimizer():
    model, step = model_and_step()
    watch, records = DeepWatch(), []
    answers = []
    model[0].register_forward_pre_hook(lambda *_: answers.append(watch.start()))
    handle = register_optimizer_step_post_hook(lambda *_: records.append(watch.stop()))
    try:
        for _ in range(2):
            step()
    finally:
        handle.remove()
    assert answers == ["", ""]
    assert [len(record.gradients) for record in records] == [4, 4]


def test_it_does_not_begin_inside_a_backward_pass():
    model, step = model_and_step()
    watch, answers = DeepWatch(), []
    handle = model[2].weight.register_hook(lambda _: answers.append(watch.start()))
    step()
    handle.remove()
    assert not watch.watching
    assert "a backward pass is running" in answers[0]


def test_it_ends_inside_a_backward_pass_and_leaves_nothing_that_matters():
    model, step = model_and_step()
    watch, records = DeepWatch(), []
    handle = model[2].weight.register_hook(lambda _: records.append(watch.stop()) or None)
    watch.start()
    step()
    handle.remove()
    assert records[0].losses != ()
    assert depth() == 1  # it lets everything through
    step()
    assert watch.settle()
    assert depth() == 0


def test_an_exception_of_the_program_passes_and_the_step_is_told_up_to_there():
    watch = DeepWatch()
    watch.start()
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes"):
        nn.Linear(4, 4)(torch.ones(2, 3))
    record = watch.stop()
    assert record.problems == ()
    assert record.operators > 0


def test_a_failure_of_ours_ends_the_watching_and_is_said(monkeypatch):
    model, step = model_and_step()
    before = [parameter.clone() for parameter in model.parameters()]

    def fails(*_):
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(session_module, "check_regions", fails)
    watch = DeepWatch()
    watch.start()
    step()
    record = watch.stop()
    assert "because of ZeroDivisionError: on purpose" in record.problems[0]
    assert record.gradients == ()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_failure_of_ours_after_an_operator_gives_its_result_all_the_same(monkeypatch):
    def fails(*_):
        raise MemoryError("none left")

    monkeypatch.setattr(session_module.Casts, "after", fails)
    watch = DeepWatch()
    watch.start()
    assert torch.equal(torch.ones(2) + 1, torch.full((2,), 2.0))
    assert "MemoryError: none left" in watch.stop().problems[0]


def test_a_failure_of_ours_at_either_end_reaches_nobody(monkeypatch):
    def fails(*_):
        raise ZeroDivisionError("on purpose")

    watch = DeepWatch()
    with monkeypatch.context() as patch:
        patch.setattr(session_module.Session, "_record", fails)
        watch.start()
        torch.ones(2).add(1)
        record = watch.stop()
    assert record.operators == 2
    assert "ZeroDivisionError: on purpose" in record.problems[0]
    with monkeypatch.context() as patch:
        patch.setattr(session_module.Session, "install", fails)
        assert "ZeroDivisionError: on purpose" in watch.start()
    assert not watch.watching
    assert watch.start() == ""
    assert watch.stop().problems == ()


def test_an_operator_that_cannot_run_in_fp32_is_named_and_stands_for_itself(monkeypatch):
    from amp_runtime.instrument.deep import shadows

    def fails(*_):
        raise RuntimeError("not implemented for 'Float'")

    monkeypatch.setitem(shadows.RULES, "aten.tanh", fails)
    _, step = model_and_step()
    record = look(step)
    assert record.shadow.taken == {"aten.tanh": 1}
    assert len(record.gradients) == 4


def test_a_recomputed_forward_pass_is_forward_and_names_its_lines():
    from tests.amp_runtime.instrument.deep.test_unchanged import Recomputed

    model = nn.Sequential(nn.Linear(8, 8), Recomputed(reentrant=False))
    record = look(amp_step(model, torch.randn(4, 8), lambda y: y.float().square().mean(), dtype=torch.bfloat16))
    once = look(amp_step(model[1].inner, torch.randn(4, 8), lambda y: y.float().square().mean(), dtype=torch.bfloat16))
    counts = {d.site.module: d.count for d in record.deviations if d.site.operator == "aten.gelu"}
    assert counts == {"1.inner.1": 2}
    assert {d.site.phase for d in record.deviations if d.site.operator == "aten.gelu"} == {"forward"}
    assert once.weight_recasts == record.weight_recasts == {}
    assert all(seen.relative_error < 0.05 for seen in record.gradients)


def test_the_backward_of_a_custom_function_names_its_own_line():
    from tests.amp_runtime.instrument.deep.test_unchanged import Custom, Double

    model = nn.Sequential(nn.Linear(8, 8), Custom())
    record = look(amp_step(model, torch.randn(4, 8), lambda y: y.float().square().mean()))
    places = {d.site.frame.function for d in record.deviations if d.site.node == "DoubleBackward"}
    assert Double.backward.__qualname__ in places
    assert places <= {Double.backward.__qualname__, Double.forward.__qualname__}
    assert {d.site.module for d in record.deviations if d.site.node == "DoubleBackward"} == {"1"}


def test_threads_of_the_program_are_left_alone():
    results = []

    def work():
        results.append((torch.ones(4, dtype=torch.bfloat16) * 3).sum().item())

    def program():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        torch.ones(2).add(1)

    record = look(program)
    assert results == [12.0]
    assert record.operators == 2


class Numbers(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return torch.full((2,), float(index)) * 2


def test_forked_workers_of_a_data_loader_carry_on():
    loaded = []

    def program():
        loaded.extend(DataLoader(Numbers(), batch_size=2, num_workers=1, multiprocessing_context="fork"))

    look(program)
    assert torch.equal(torch.cat(loaded)[:, 0], torch.tensor([0.0, 2.0, 4.0, 6.0]))


def test_tensor_subclasses_are_passed_by_and_counted_and_transforms_are_seen_as_what_they_run():
    found = []

    def program():
        torch.eye(3).to_sparse().mul(2)
        found.append(torch.func.vmap(torch.func.grad(torch.sin))(torch.ones(2)))

    record = look(program)
    assert set(record.unseen) == {"tensor subclass, sparse or meta tensor"}
    assert torch.equal(found[0], torch.ones(2).cos())


def test_higher_order_operators_run_as_ever():
    x = torch.ones(2)
    found = []

    def program():
        found.append(torch.cond(torch.tensor(True), lambda x: x + 1, lambda x: x - 1, (x,)))

    look(program)
    assert torch.equal(found[0], x + 1)


def test_ddp_in_one_process(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        model, _ = model_and_step()
        wrapped = nn.parallel.DistributedDataParallel(model)
        record = look(amp_step(wrapped, torch.randn(4, 8), lambda y: y.float().square().mean()))
    finally:
        torch.distributed.destroy_process_group()
    assert {seen.name for seen in record.gradients} == {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert all(0 < seen.relative_error < 0.05 for seen in record.gradients)


@pytest.mark.parametrize("first", ["plain", "watched"])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inductor's own imports
def test_a_compiled_region_stays_compiled_and_is_said(backend, first):
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model, _ = model_and_step()
    compiled = torch.compile(model, backend=backend)
    inputs, outputs, records = torch.randn(4, 8), [], []

    def program():
        with torch.autocast("cpu"):
            outputs.append(compiled(inputs))
        outputs[-1].float().square().mean().backward()

    for number in range(4):
        if number % 2 == (first == "plain"):
            records.append(look(program))
        else:
            program()
    assert all(torch.equal(output, outputs[0]) for output in outputs)
    assert torch._dynamo.utils.counters["frames"] == {"total": 1, "ok": 1}  # it was compiled once
    for record in records:
        assert {seen.name for seen in record.gradients} == {"0.weight", "0.bias", "2.weight", "2.bias"}
        assert {seen.compared for seen in record.gradients} == {backend == "aot_eager"}
        assert ("compiled region" in record.unseen) == (backend == "inductor")
