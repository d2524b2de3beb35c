import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from amp_runtime.benchmark.memory import ActivationMeter, NoStepError, measure_memory, stored_bytes
from amp_runtime.policy import Bf16Policy, Fp16Policy
from tests.amp_runtime.problems import OVERFLOW, batches, make_step, network


def use(step, window):
    return measure_memory(lambda: step.run(window), step.model)


def test_every_kind_of_memory_is_what_arithmetic_says():
    step = make_step()
    found = use(step, batches(1))
    weights = 4 * (8 * 16 + 16 + 16 + 1)
    # The input of each layer (tanh and the layer after it keep one tensor), prediction and target of the loss.
    assert found.activations == 4 * (4 * 8 + 4 * 16 + 4 + 4)
    assert (found.weights, found.gradients, found.optimizer_state) == (weights, weights, weights)
    assert found.whole == 3 * weights + found.activations
    assert found.allocator_peak is None


def test_under_autocast_halves_are_kept_and_copies_of_weights_are_counted_apart():
    found, exact = use(make_step(Bf16Policy()), batches(1)), use(make_step(), batches(1))
    assert found.activations == 2 * (4 * 8 + 4 * 16) + 4 * (4 + 4)
    assert (found.weight_copies, exact.weight_copies) == (2 * 16, 0)  # the first weight's is not needed for backward
    assert found.whole == 3 * exact.weights + found.activations + found.weight_copies


def test_a_compiled_model_is_measured_too():
    step = make_step(Bf16Policy())
    plain = use(make_step(Bf16Policy()), batches(1))
    step.model.compile(backend="aot_eager")
    found = use(step, batches(1))
    assert found.weights == plain.weights
    assert found.activations + found.weight_copies >= plain.activations


def test_adam_keeps_two_moments_and_a_counter_for_each_parameter():
    found = use(make_step(optimizer=torch.optim.AdamW), batches(1))
    assert found.optimizer_state == 2 * found.weights + 4 * 4


def test_micro_batches_keep_no_more_than_the_largest_of_them():
    (small,), (large,) = batches(1, size=2), batches(1, size=6)
    assert use(make_step(), [small, large, small]).activations == use(make_step(), [large]).activations


def test_what_backward_releases_is_forgotten_and_what_still_lives_is_not():
    weight = torch.ones(10, requires_grad=True)
    meter = ActivationMeter([weight])
    with meter.watching():
        first = (weight * torch.ones(10)).exp()  # keeps the factor and its own result
        first.sum().backward()
        second = (weight * torch.ones(10)).exp()
        assert meter.peak == 2 * 40
        third = (weight * torch.ones(10)).exp()
        assert meter.peak == 4 * 40
    del second, third


def test_gradients_come_out_the_same_under_the_meter():
    def gradients(meter):
        model = network()
        inputs = torch.ones(4, 8)
        if meter is None:
            model(inputs).square().mean().backward()
        else:
            with meter.watching():
                model(inputs).square().mean().backward()
        return [parameter.grad for parameter in model.parameters()]

    plain, watched = gradients(None), gradients(ActivationMeter([]))
    assert all(torch.equal(a, b) for a, b in zip(plain, watched, strict=True))


def test_gradient_checkpointing_is_seen_to_keep_less():
    def kept(wrap):
        layers = nn.Sequential(*(nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 32)) for _ in range(4)))
        meter = ActivationMeter(layers.parameters())
        x = torch.ones(16, 32, requires_grad=True)
        with meter.watching():
            out = x
            for layer in layers:
                out = wrap(layer, out)
            forward = meter.peak
            out.sum().backward()
        return forward

    # One input of 16x32 for each of four stretches; without checkpointing, what tanh gives too.
    assert kept(lambda layer, x: checkpoint(layer, x, use_reentrant=False)) == 4 * 4 * 16 * 32
    assert kept(lambda layer, x: layer(x)) == 8 * 4 * 16 * 32


def test_views_of_one_storage_and_shared_weights_count_once():
    whole = torch.zeros(100)
    assert stored_bytes([whole, whole[:10], whole.view(10, 10)]) == 400
    assert stored_bytes([whole, torch.zeros(5)], without=[whole[3:]]) == 20


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_csc])
def test_compressed_tensors_count_their_parts(layout):
    sparse = torch.sparse_compressed_tensor([0, 1, 1], [1], [2.0], (2, 2), layout=layout, check_invariants=True)
    assert stored_bytes([sparse]) == 8 * 3 + 8 + 4


def test_a_sparse_gradient_is_counted_as_it_is():
    table = nn.Embedding(1000, 4, sparse=True)
    optimizer = torch.optim.SGD(table.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        table(torch.tensor([1, 5])).sum().backward()
        optimizer.step()

    assert measure_memory(step, table).gradients == 2 * 8 + 2 * 4 * 4


def test_a_step_that_the_loss_scaler_skips_is_tried_again():
    step = make_step(Fp16Policy())
    factors = iter([OVERFLOW, 1.0, OVERFLOW, OVERFLOW, 1.0])
    found = measure_memory(lambda: step.run(batches(1, factor=next(factors))), step.model)
    assert found.gradients == found.weights


def test_training_that_never_steps_is_an_error():
    model = network()
    with pytest.raises(NoStepError, match="no optimizer stepped"):
        measure_memory(lambda: model(torch.ones(1, 8)).sum().backward(), model)
