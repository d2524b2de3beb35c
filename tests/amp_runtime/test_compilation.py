import pytest
import torch
from torch import nn

from amp_runtime.activation_checkpointing import checkpoint_activations
from amp_runtime.compilation import backward_outside_autocast, is_compiled
from amp_runtime.ema import ExponentialMovingAverage
from amp_runtime.step import StepOptions
from amp_runtime.wrapping import unwrapped
from tests.amp_runtime.compiled_steps import Island, gradients, make
from tests.amp_runtime.problems import OVERFLOW, POLICIES, batches, network, regression, same, weights


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_models_backward_runs_outside_autocast_as_the_eager_ones(in_place):
    eager = gradients(make(POLICIES["bf16"](), Island))
    compiled = gradients(make(POLICIES["bf16"](), Island, backend="aot_eager", in_place=in_place))
    assert same(compiled, eager)


def test_the_compilers_default_would_give_other_gradients():
    """If this fails, PyTorch has changed its default and the context is no longer needed."""
    eager = gradients(make(POLICIES["bf16"](), Island))
    model = make(POLICIES["bf16"](), Island, backend="aot_eager").model
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = regression(model, batches(1)[0]).loss
    loss.backward()
    assert not same([parameter.grad for parameter in model.parameters()], eager)


@pytest.mark.parametrize("name", POLICIES)
def test_a_compiled_run_equals_the_eager_one(name):
    def train(backend):
        options = StepOptions(clip_norm=0.5)
        step = make(
            POLICIES[name](), network, backend=backend, options=options, ema=lambda m: ExponentialMovingAverage(m, 0.5)
        )
        data = batches(4)
        if name == "fp16":
            data[1] = (*data[1][:2], OVERFLOW)
        losses = [step.run([batch]).loss for batch in data]
        return losses, weights(step.model), [*step.ema.state_dict()["averages"].values()]

    eager, compiled = train(None), train("aot_eager")
    assert compiled[0] == eager[0]
    assert same(compiled[1], eager[1])
    assert same(compiled[2], eager[2])


def test_recomputed_activations_compile_too():
    def train(backend):
        def model():
            made = network()
            checkpoint_activations(made, nn.Tanh)
            return made

        step = make(POLICIES["bf16"](), model, backend=backend)
        return [step.run([batch]).loss for batch in batches(3)]

    assert train("aot_eager") == train(None)


def test_averages_of_a_compiled_model_have_the_plain_names():
    model = torch.compile(network(), backend="eager")
    assert [*ExponentialMovingAverage(model).state_dict()["averages"]] == [*network().state_dict()]
    assert unwrapped(model) is model._orig_mod


def test_compiled_models_are_recognised():
    plain, whole, in_place = network(), torch.compile(network(), backend="eager"), network()
    in_place[0].compile(backend="eager")
    assert [is_compiled(model) for model in (plain, whole, in_place)] == [False, True, True]


def test_the_setting_holds_inside_the_context_only():
    from torch._functorch import config

    before = config.backward_pass_autocast
    with backward_outside_autocast():
        assert config.backward_pass_autocast == "off"
    assert config.backward_pass_autocast == before


def test_what_an_objective_compiles_by_itself_takes_the_context_by_itself():
    def objective(model, batch):
        with backward_outside_autocast():
            return regression(compiled, batch)

    eager = gradients(make(POLICIES["bf16"](), Island))
    step = make(POLICIES["bf16"](), Island)
    compiled = torch.compile(step.model, backend="aot_eager")
    step.objective = objective
    assert same(gradients(step), eager)
