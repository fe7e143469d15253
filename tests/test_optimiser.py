"""Who learns in a phase, and how fast: asserted layer by layer, statistics included."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from mammo_core.errors import InputError
from mammo_core.model import Architecture, build_model, layer_groups
from mammo_core.phases import Phase
from mammo_train.optimiser import (
    layers_trained,
    learning_rates,
    make_optimiser,
    parameter_groups,
    rate_factor,
    set_rates,
    trained_groups,
)

SMALL = Architecture(backbone="resnet10t", in_channels=1, pooling="gem")


def made_phase(**changes: object) -> Phase:
    return Phase.model_validate({"name": "p", "epochs": 2, "learning_rate": 0.1, **changes})


def train_a_little(model: nn.Module, phase: Phase) -> None:
    """Three steps as any loop takes them, ``model.train()`` before each."""
    generator = torch.Generator().manual_seed(0)
    optimiser = make_optimiser(model, phase)
    for _ in range(3):
        model.train()
        images = torch.rand(4, 1, 64, 64, generator=generator) * 3
        loss = functional.binary_cross_entropy_with_logits(model(images), torch.tensor([0.0, 1.0, 0.0, 1.0]))
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()


def moved(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in after if not torch.equal(before[name], after[name])}


@pytest.mark.parametrize("backbone", ["resnet10t", "regnetx_002", "tf_efficientnet_lite0"])
@pytest.mark.parametrize("trained", [1, 2, 3, "all"])
def test_frozen_layers_and_their_statistics_do_not_move_and_the_others_do(backbone, trained):
    torch.manual_seed(0)
    model = build_model(Architecture(backbone=backbone, in_channels=1, pooling="gem"))
    before = copy.deepcopy(model.state_dict())
    phase = made_phase(trained=trained, learning_rate=0.01)
    with layers_trained(model, phase):
        train_a_little(model, phase)
    changed = moved(before, model.state_dict())
    groups = layer_groups(model)
    learning = groups if trained == "all" else groups[-trained:]
    wanted = {name for group in learning for name in group.parameters}
    assert changed & {name for name, _ in model.named_parameters()} == wanted
    # A batch norm's statistics move where its weight learns, and nowhere else.
    with_statistics = {name.rpartition(".")[0] for name in before if name.endswith(".running_mean")}
    statistics = {name for name in changed if name.endswith((".running_mean", ".running_var", ".num_batches_tracked"))}
    assert {name.rpartition(".")[0] for name in statistics} == {
        name for name in with_statistics if f"{name}.weight" in wanted
    }


def test_frozen_batch_norm_keeps_all_statistics_while_its_weights_learn():
    torch.manual_seed(0)
    model = build_model(SMALL)
    before = copy.deepcopy(model.state_dict())
    phase = made_phase(batch_norm="frozen", learning_rate=0.01)
    with layers_trained(model, phase):
        train_a_little(model, phase)
    changed = moved(before, model.state_dict())
    assert changed == {name for name, _ in model.named_parameters()}


def test_without_the_freezing_the_statistics_do_move():
    """The trap itself: requires_grad alone does not stop them."""
    torch.manual_seed(0)
    model = build_model(SMALL)
    before = copy.deepcopy(model.state_dict())
    model.backbone.requires_grad_(False)
    train_a_little(model, made_phase(trained=1))
    assert any(name.endswith("running_mean") for name in moved(before, model.state_dict()))


def test_dropout_and_drop_path_of_frozen_layers_rest():
    torch.manual_seed(0)
    model = build_model(SMALL)
    model.backbone.layer1[0].drop_path = nn.Dropout(0.5)
    images = torch.rand(2, 1, 64, 64)
    with layers_trained(model, made_phase(trained=1)), torch.no_grad():
        model.train()
        frozen = [model.features(images) for _ in range(2)]
    assert torch.equal(*frozen)
    assert torch.equal(frozen[0], model.eval().features(images))


def test_after_the_phase_everything_may_learn_again():
    model = build_model(SMALL)
    with layers_trained(model, made_phase(trained=1, batch_norm="frozen")):
        pass
    assert all(parameter.requires_grad for parameter in model.parameters())
    before = copy.deepcopy(model.state_dict())
    model.train()(torch.rand(2, 1, 64, 64))
    assert any(name.endswith("running_mean") for name in moved(before, model.state_dict()))


def test_more_groups_than_there_are_is_told_with_their_names():
    with pytest.raises(
        InputError, match=r"phase p: trained: is 7, but resnet10t has 6 groups \(stem, stage1, .*head\)"
    ):
        trained_groups(build_model(SMALL), made_phase(trained=7))


def test_learning_rates_by_depth():
    model = build_model(SMALL)
    phase = made_phase(learning_rate=0.1, backbone_rate=0.5, layer_decay=0.1)
    rates = learning_rates(model, phase)
    assert list(rates) == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
    assert list(rates.values()) == pytest.approx([5e-6, 5e-5, 5e-4, 5e-3, 5e-2, 0.1])
    assert learning_rates(model, made_phase(trained=1)) == {"head": 0.1}
    assert learning_rates(model, made_phase(trained=2, backbone_rate=0.3)) == pytest.approx(
        {"stage4": 0.03, "head": 0.1}
    )


def test_parameter_groups_hold_what_learns_once_and_decay_weights_alone():
    model = build_model(SMALL)
    phase = made_phase(trained=2, weight_decay=0.05)
    groups = parameter_groups(model, phase)
    assert [(group["name"], group["weight_decay"]) for group in groups] == [
        ("stage4", 0.05),
        ("stage4 undecayed", 0.0),
        ("head", 0.05),
        ("head undecayed", 0.0),
    ]
    names = {parameter: name for name, parameter in model.named_parameters()}
    held = [names[parameter] for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(name for group in layer_groups(model)[-2:] for name in group.parameters)
    assert {names[p] for p in groups[3]["params"]} == {"head.bias", "pool.excess"}
    assert all(name.endswith("weight") and "bn" not in name for p in groups[0]["params"] for name in [names[p]])


@pytest.mark.parametrize(("changes", "kind"), [({}, torch.optim.AdamW), ({"optimizer": "sgd"}, torch.optim.SGD)])
def test_the_optimiser_is_the_one_asked_for(changes, kind):
    optimiser = make_optimiser(build_model(SMALL), made_phase(momentum=0.8, **changes))
    assert type(optimiser) is kind
    group = optimiser.param_groups[0]
    assert group.get("momentum", group.get("betas", [None])[0]) == 0.8


def test_setting_rates_scales_every_group():
    optimiser = make_optimiser(build_model(SMALL), made_phase(layer_decay=0.5, trained=3))
    assert set_rates(optimiser, 0.1) == pytest.approx({"stage3": 0.005, "stage4": 0.01, "head": 0.01})
    assert set_rates(optimiser, 1.0) == pytest.approx({"stage3": 0.05, "stage4": 0.1, "head": 0.1})
    assert {group["lr"] for group in optimiser.param_groups} == {0.05, 0.1}


def torchs(scheduler_of, steps: int) -> list[float]:
    """What one of torch's schedulers makes of a rate of 1."""
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler = scheduler_of(optimiser)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def test_the_schedules_are_torchs():
    phase = made_phase(epochs=4, schedule="cosine")
    expected = torchs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=40), 40)
    assert [rate_factor(phase, step, 10) for step in range(40)] == pytest.approx(expected, abs=1e-9)
    phase = made_phase(epochs=4, schedule="one_cycle", warmup=0.3)
    expected = torchs(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, max_lr=1.0, total_steps=41, pct_start=0.3), 40)
    phase = made_phase(epochs=41, schedule="one_cycle", warmup=0.3)
    assert [rate_factor(phase, step, 1) for step in range(40)] == pytest.approx(expected, abs=1e-9)


def test_warm_up_by_hand():
    phase = made_phase(epochs=2, schedule="constant", warmup=0.3)
    # 10 steps, 3 of them rising: 1/4, 2/4, 3/4, and then 1.
    assert [rate_factor(phase, step, 5) for step in range(10)] == pytest.approx([0.25, 0.5, 0.75, *[1.0] * 7])
    cosine = [rate_factor(made_phase(epochs=2, warmup=0.3), step, 5) for step in range(10)]
    assert cosine[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert cosine[-1] == pytest.approx((1 + math.cos(math.pi * 6 / 7)) / 2)


def test_plateau_by_hand():
    phase = made_phase(epochs=9, schedule="plateau", plateau_epochs=2, plateau_factor=0.1)
    history = [0.6, 0.7, 0.7, 0.65, 0.69, 0.69, 0.8, 0.8]
    factors = [rate_factor(phase, 5 * epoch, 5, history[:epoch]) for epoch in range(9)]
    # Two epochs without better than 0.7 after the fourth, two more after the sixth; then 0.8 is better.
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01])


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle", "plateau"])
@pytest.mark.parametrize("steps_per_epoch", [1, 2, 7])
def test_no_step_is_without_a_rate(schedule, steps_per_epoch):
    for epochs in (1, 3):
        phase = made_phase(schedule=schedule, epochs=epochs, warmup=0.4)
        factors = [
            rate_factor(phase, step, steps_per_epoch, [0.5] * epochs) for step in range(epochs * steps_per_epoch)
        ]
        assert all(0 < factor <= 1 for factor in factors)
