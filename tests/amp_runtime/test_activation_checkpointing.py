import copy

import pytest
import torch
from torch import nn

from amp_runtime.activation_checkpointing import checkpoint_activations
from amp_runtime.objective import Outcome
from amp_runtime.penalty import squared_norm, true_gradients
from amp_runtime.step import TrainingStep
from tests.amp_runtime.problems import POLICIES, batches, regression, same, weights


class Block(nn.Module):
    def __init__(self, normalised):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.norm = nn.BatchNorm1d(8) if normalised else nn.LayerNorm(8)
        self.drop = nn.Dropout(0.3)
        self.calls = 0
        self.seen = []

    def forward(self, x, *, gain=1.0):
        self.calls += 1
        hidden = self.linear(x)
        self.seen.append((hidden.dtype, torch.is_autocast_enabled("cpu")))
        return x + self.drop(torch.nn.functional.gelu(self.norm(hidden))) * gain


class Network(nn.Module):
    def __init__(self, normalised=False):
        super().__init__()
        self.blocks = nn.ModuleList(Block(normalised) for _ in range(2))
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        for block in self.blocks:
            x = block(x, gain=0.5)
        return self.head(x)


def make(policy, *, normalised=False, recompute=False, objective=regression):
    torch.manual_seed(0)
    model = Network(normalised)
    if recompute:
        assert checkpoint_activations(model, Block) == ("blocks.0", "blocks.1")
    return TrainingStep(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), policy, objective)


def train(step, count=4):
    torch.manual_seed(1)
    return [step.run([batch]).loss for batch in batches(count, size=8)]


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("name", POLICIES)
def test_training_is_the_same_bit_for_bit(name, normalised):
    plain = make(POLICIES[name](), normalised=normalised)
    saving = make(POLICIES[name](), normalised=normalised, recompute=True)
    assert train(plain) == train(saving)
    assert same(weights(plain.model), weights(saving.model))
    assert same([*plain.model.buffers()], [*saving.model.buffers()])


@pytest.mark.parametrize("name", POLICIES)
def test_the_second_forward_runs_in_the_precision_of_the_first(name):
    step = make(POLICIES[name](), recompute=True)
    train(step, 1)
    for block in step.model.blocks:
        assert block.calls == 2
        assert block.seen[0] == block.seen[1]
        assert block.seen[0][1] == (name != "fp32")


def test_the_generators_go_on_as_without_it():
    plain, saving = make(POLICIES["fp32"]()), make(POLICIES["fp32"](), recompute=True)
    train(plain)
    expected = torch.rand(3)
    train(saving)
    assert torch.equal(torch.rand(3), expected)


def test_activations_are_really_let_go():
    def saved(model):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
            model(torch.randn(64, 8, requires_grad=True))
        return sum(kept)

    torch.manual_seed(0)
    model = Network()
    everything = saved(model)
    checkpoint_activations(model, Block)
    assert saved(model) < everything / 2


def test_without_gradients_nothing_is_computed_twice():
    model = Network()
    checkpoint_activations(model, Block)
    with torch.no_grad():
        model(torch.randn(4, 8))
    assert [block.calls for block in model.blocks] == [1, 1]


def test_names_in_the_state_dict_stay():
    model = Network()
    before = [*model.state_dict()]
    checkpoint_activations(model, lambda name, _: name == "blocks.1")
    assert [*model.state_dict()] == before


def test_a_copy_computes_with_its_own_weights():
    model = Network().eval()
    checkpoint_activations(model, Block)
    twin = copy.deepcopy(model)
    inputs = torch.randn(4, 8)
    with torch.no_grad():
        before = model(inputs)
        for parameter in twin.parameters():
            parameter.zero_()
    assert torch.equal(twin(inputs), torch.zeros(4, 1))
    assert torch.equal(model(inputs), before)


def test_it_works_under_a_gradient_penalty():
    def steps(recompute):
        policy = POLICIES["fp16"]()

        def objective(model, batch):
            loss = regression(model, batch).loss
            gradients = true_gradients(policy, loss, [*model.parameters()])
            return Outcome(loss=loss + 0.1 * squared_norm(gradients), examples=len(batch[0]))

        step = make(policy, recompute=recompute, objective=objective)
        return train(step), weights(step.model)

    plain, saving = steps(False), steps(True)
    assert plain[0] == saving[0]
    assert same(plain[1], saving[1])


def test_choosing_nothing_is_an_error():
    with pytest.raises(ValueError, match="no module of the model was chosen"):
        checkpoint_activations(Network(), nn.Conv2d)


def test_a_module_inside_a_chosen_one_is_refused():
    with pytest.raises(ValueError, match=r"'blocks.0.linear' lies inside 'blocks.0'"):
        checkpoint_activations(Network(), (Block, nn.Linear))


def test_choosing_twice_is_refused():
    model = Network()
    checkpoint_activations(model, Block)
    with pytest.raises(ValueError, match="already recomputes"):
        checkpoint_activations(model, Block)
    with pytest.raises(ValueError, match="lies inside"):
        checkpoint_activations(model, nn.ModuleList)
