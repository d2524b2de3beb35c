import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from amp_runtime.config import AmpConfig, LossScaling
from amp_runtime.lightning import AlternatingModule, Player, PrecisionMonitor, amp_trainer
from amp_runtime.objective import Outcome
from amp_runtime.precision import Precision
from tests.amp_runtime.lightning.classifiers import same, weights

FP16 = AmpConfig(precision=Precision.FP16, loss_scaling=LossScaling(init_scale=256.0, growth_interval=1000))
CONFIGS = {"fp32": AmpConfig(), "bf16": AmpConfig(precision=Precision.BF16), "fp16": FP16}


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.generator = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 8))
            self.critic = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))


def judge(logits, real):
    wanted = torch.full_like(logits, float(real), dtype=torch.float32)
    return nn.functional.binary_cross_entropy_with_logits(logits.float(), wanted)


def critic_objective(model, batch):
    noise, real = batch
    fake = model.generator(noise).detach()
    loss = judge(model.critic(real), True) + judge(model.critic(fake), False)
    return Outcome(loss=loss, examples=len(real))


def generator_objective(model, batch):
    return Outcome(loss=judge(model.critic(model.generator(batch[0])), True), examples=len(batch[0]))


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1)


def players(*, clip_norm=None, make_optimizer=sgd, critic=critic_objective):
    return [
        Player(name="critic", part="critic", objective=critic, make_optimizer=make_optimizer, clip_norm=clip_norm),
        Player(name="generator", part="generator", objective=generator_objective, make_optimizer=make_optimizer),
    ]


@pytest.fixture(scope="module")
def loader():
    generator = torch.Generator().manual_seed(0)
    noise, real = torch.randn(48, 4, generator=generator), torch.randn(48, 8, generator=generator) + 1
    return DataLoader(TensorDataset(noise, real), batch_size=8)


def by_hand(loader, clip_norm):
    """The same game in plain PyTorch and float32."""
    model = Pair()
    critic, generator = sgd(model.critic.parameters()), sgd(model.generator.parameters())
    for batch in loader:
        critic.zero_grad()
        critic_objective(model, batch).loss.backward()
        if clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(model.critic.parameters(), clip_norm)
        critic.step()
        generator.zero_grad()
        generator_objective(model, batch).loss.backward()
        generator.step()
    return model


@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("name", CONFIGS)
def test_it_plays_the_same_game_as_plain_pytorch(name, clip_norm, loader, quiet):
    module = AlternatingModule(Pair(), players(clip_norm=clip_norm))
    amp_trainer(CONFIGS[name], **quiet, max_epochs=1).fit(module, loader)
    expected = by_hand(loader, clip_norm)
    for left, right in zip(weights(module.model), weights(expected), strict=True):
        assert torch.allclose(left, right, atol=1e-6 if name == "fp32" else 3e-3)


def test_clipping_bounds_the_change_of_true_units(loader, quiet):
    # With the loss scale still on them, gradients would be clipped to 0.05 and then divided by 256.
    module = AlternatingModule(Pair(), players(clip_norm=0.05))
    before = weights(module.model.critic)
    amp_trainer(FP16, **quiet, limit_train_batches=1, max_epochs=1).fit(module, loader)
    moved = torch.cat([(a - b).flatten() for a, b in zip(before, weights(module.model.critic), strict=True)])
    assert moved.norm().item() == pytest.approx(0.1 * 0.05, rel=1e-3)


def test_one_players_overflow_skips_that_player_alone(loader, quiet):
    def overflowing(model, batch):
        outcome = critic_objective(model, batch)
        return Outcome(loss=outcome.loss * 1e38, examples=outcome.examples)

    module, monitor = AlternatingModule(Pair(), players(critic=overflowing)), PrecisionMonitor()
    before = weights(module.model.critic), weights(module.model.generator)
    amp_trainer(FP16, **quiet, limit_train_batches=2, max_epochs=1, callbacks=[monitor]).fit(module, loader)
    assert same(before[0], weights(module.model.critic))
    assert not same(before[1], weights(module.model.generator))
    seen = [(record.optimizer, record.skipped, record.scale) for record in monitor.history]
    assert seen == [(0, True, 256), (1, False, 128), (0, True, 128), (1, False, 64)]


def test_each_optimizer_has_figures_of_its_own(loader, quiet):
    trainer = amp_trainer(FP16, **quiet, max_epochs=1, callbacks=[PrecisionMonitor()])
    trainer.fit(AlternatingModule(Pair(), players()), loader, loader)
    assert {"amp/grad_norm/0", "amp/grad_norm/1", "amp/loss_scale/0", "amp/loss_scale/1"} < set(
        trainer.callback_metrics
    )
    assert {"train/critic/loss", "validation/generator/loss"} < set(trainer.callback_metrics)


def test_backward_and_step_run_outside_autocast(loader, quiet):
    seen = []

    class Watched(torch.optim.SGD):
        def step(self, closure=None):
            seen.append(torch.is_autocast_enabled("cpu"))
            return super().step(closure)

    module = AlternatingModule(Pair(), players(make_optimizer=lambda parameters: Watched(parameters, lr=0.1)))
    module.model.critic[0].weight.register_hook(lambda _gradient: seen.append(torch.is_autocast_enabled("cpu")))
    amp_trainer(FP16, **quiet, limit_train_batches=1, max_epochs=1).fit(module, loader)
    assert seen
    assert not any(seen)


def fused_sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.1, fused=True)


def test_clipping_with_an_optimizer_that_unscales_by_itself_is_refused(loader, quiet):
    module = AlternatingModule(Pair(), players(clip_norm=1.0, make_optimizer=fused_sgd))
    with pytest.raises(ValueError, match="player 'critic' clips, but its fused optimizer"):
        amp_trainer(FP16, **quiet, max_epochs=1).fit(module, loader)
    amp_trainer(CONFIGS["bf16"], **quiet, max_epochs=1).fit(
        AlternatingModule(Pair(), players(clip_norm=1.0, make_optimizer=fused_sgd)), loader
    )


def player(**settings):
    given = {"name": "a", "part": "critic", "objective": critic_objective, "make_optimizer": sgd, **settings}
    return Player(**given)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ([], "nothing to train"),
        ([player(), player(part="generator")], "two players are called 'a'"),
        ([player(), player(name="b")], "'a' and 'b' train the same parameter"),
        ([player(part="decoder")], "'decoder', which the model does not have"),
    ],
)
def test_a_game_that_cannot_be_played_is_refused(chosen, said):
    with pytest.raises(ValueError, match=said):
        AlternatingModule(Pair(), chosen)


@pytest.mark.parametrize("clip_norm", [0.0, -1.0, float("nan")])
def test_a_threshold_that_is_not_positive_is_refused(clip_norm):
    with pytest.raises(ValueError, match="must be positive"):
        player(clip_norm=clip_norm)
