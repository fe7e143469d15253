"""One step of training: its loss, its parts, its averages, what is said when it goes wrong."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from mammo_core.errors import InputError
from mammo_core.model import Architecture, Model, build_model
from mammo_core.phases import Phase
from mammo_train.average import Average
from mammo_train.distributed import World
from mammo_train.loop import Learner, steps
from mammo_train.precision import Network, half_type
from mammo_train.prior import SeenByLoss
from mammo_train.sampling import Batch
from mammo_train.state import optimiser_tensors, restore_optimiser
from tiny_set import phase

_CPU = torch.device("cpu")
_LABELS = torch.tensor([1.0, 0.0, 0.0, 1.0])


def _model(pooling: str = "avg") -> Model:
    torch.manual_seed(0)
    architecture = Architecture.model_validate({"backbone": "resnet10t", "in_channels": 1, "pooling": pooling})
    return build_model(architecture).eval()


def _learner(model: Model, stage: Phase, *, pos_weight: float = 1.0, half: torch.dtype | None = None) -> Learner:
    network = Network(model, half=half)
    return Learner(model, network, stage, SeenByLoss(prevalence=0.5, pos_weight=pos_weight), World())


def test_the_loss_is_the_sum_of_weighted_cross_entropies() -> None:
    learner = _learner(_model(), phase("all", label_smoothing=0.2), pos_weight=3.0)
    logits = torch.tensor([0.5, -1.0, 2.0, 0.0])
    # Written out: y ln(1 + exp(-x)) 3 + (1 - y) ln(1 + exp(x)), with y = 0.9 and 0.1.
    y = np.array([0.9, 0.1, 0.1, 0.9])
    x = logits.double().numpy()
    wanted = (3 * y * np.log1p(np.exp(-x)) + (1 - y) * np.log1p(np.exp(x))).sum()
    assert float(learner.loss(logits, _LABELS)) == pytest.approx(wanted, abs=1e-6)


def test_a_step_in_parts_is_the_step() -> None:
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    found = []
    for accumulate in (1, 3):
        model = _model()
        learner = _learner(model, phase("all", accumulate=accumulate, optimizer="sgd", batch_norm="frozen"))
        loss = learner.learn(images, _LABELS, 4)
        found.append((loss, model.head.weight.detach().clone()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)


def test_the_step_is_that_of_plain_torch() -> None:
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    ours, theirs = _model(), _model()
    _learner(ours, phase("all", optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=0.1)).learn(
        images, _LABELS, 4
    )
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.1)
    torch.autograd.backward(functional.binary_cross_entropy_with_logits(theirs(images), _LABELS))
    optimiser.step()
    for name, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], tensor)


def test_the_gradient_is_clipped() -> None:
    images = 10 * torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    model = _model()
    before = torch.cat([p.detach().flatten() for p in model.parameters()])
    stage = phase("all", optimizer="sgd", momentum=0.0, weight_decay=0.0, learning_rate=1.0, gradient_clip=1e-3)
    _learner(model, stage).learn(images, _LABELS, 4)
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert float((after - before).norm()) == pytest.approx(1e-3, rel=1e-2)


def test_float16_scales_its_loss_and_bfloat16_learns_alike() -> None:
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    losses = {}
    for half in (None, torch.bfloat16, torch.float16):
        learner = _learner(_model(), phase("all"), half=half)
        assert learner.scaler.is_enabled() == (half is torch.float16)
        losses[half] = [learner.learn(images, _LABELS, 4) for _ in range(2)]
        assert learner.network(images)[0].dtype == torch.float32
    for half in (torch.bfloat16, torch.float16):
        assert losses[half] == pytest.approx(losses[None], rel=0.1)
        assert losses[half] != losses[None]


def test_depthwise_convolutions_that_a_cpu_is_slow_at_stay_in_32_bits() -> None:
    model = build_model(Architecture(backbone="tf_efficientnet_lite0", in_channels=1))
    seen: dict[str, torch.dtype] = {}
    for name, layer in model.backbone.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _layer, _given, found, name=name: seen.update({name: found.dtype}))
    images = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    computed: list[torch.dtype] = []
    convolve = torch.nn.functional.conv2d

    def watched(given: torch.Tensor, *more: object) -> torch.Tensor:
        found = convolve(given, *more)  # type: ignore[arg-type]
        computed.append(found.dtype)
        return found

    layers = [layer for layer in model.backbone.modules() if isinstance(layer, torch.nn.Conv2d)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.nn.functional, "conv2d", watched)
        logits, _ = Network(model, half=torch.bfloat16)(images)
    wide = [c for c in layers if c.groups > 1 and (c.kernel_size[0] > 3 or c.stride[0] > 1)]
    assert 0 < len(wide) < sum(c.groups > 1 for c in layers)
    assert (computed.count(torch.float32), len(computed)) == (len(wide), len(layers))
    # What is handed on is in 16 bits, or all that follows would be in 32.
    assert set(seen.values()) == {torch.bfloat16}
    logits.sum().backward()
    exact, _ = Network(model)(images)
    assert logits.detach().numpy() == pytest.approx(exact.detach().numpy(), abs=0.05)
    assert all("forward" not in vars(layer) for layer in layers)


def test_16_bits_where_the_device_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    for amx, avx, wanted in ((True, False, torch.bfloat16), (False, True, torch.bfloat16), (False, False, None)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        assert half_type("auto", _CPU) == wanted
    for capability, wanted in (((9, 0), torch.bfloat16), ((7, 5), torch.float16), ((6, 1), None)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device, found=capability: found)
        assert half_type("auto", cuda) == wanted
    assert half_type("float32", cuda) is None
    assert half_type("float16", _CPU) == torch.float16
    with pytest.raises(InputError, match="needs loss scaling"):
        half_type("float16", torch.device("mps"))


def test_a_loss_that_is_no_number_is_told_with_its_step() -> None:
    model = _model()
    learner = _learner(model, phase("all"))
    batch = Batch(np.arange(4), np.zeros(4, np.intp), 4)
    given = [(batch, torch.zeros(4, 1, 64, 64), None), (batch, torch.full((4, 1, 64, 64), torch.nan), None)]
    going = steps(
        learner,
        iter(given),
        np.array([True, False, False, True]),
        lambda _step: {"head": 0.01},
        World(),
        done=6,
        seeds=(0, 0),
        stop=lambda: 0,
    )
    assert next(going).images == 4
    with pytest.raises(InputError, match=r"is nan at step 8 of the phase; try a lower learning_rate .*0\.01"):
        next(going)


def test_an_average_follows_the_weights() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 1.0)
    average = Average(layer, 0.5)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    average.update(1)  # decay (1 + 1) / (10 + 1)
    assert float(average.tensors["weight"]) == pytest.approx(1 + 9 / 11)
    average.update(1000)  # decay 0.5
    assert float(average.tensors["weight"]) == pytest.approx((1 + 9 / 11 + 2) / 2)
    with average.in_place():
        assert float(layer.weight.detach()) == pytest.approx((1 + 9 / 11 + 2) / 2)
    assert float(layer.weight.detach()) == 2.0
    average.restore({"weight": torch.tensor([[7.0]])})
    assert float(average.tensors["weight"]) == 7.0


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_an_optimiser_put_back_goes_on_to_the_bit(optimizer: str) -> None:
    images = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    stage = phase("all", optimizer=optimizer)
    model = _model("gem").to(memory_format=torch.channels_last)
    learner = _learner(model, stage)
    learner.learn(images, _LABELS, 4)
    tensors = {name: tensor.clone().contiguous() for name, tensor in optimiser_tensors(learner.optimiser).items()}
    weights = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    learner.learn(images, _LABELS, 4)
    again = _model("gem").to(memory_format=torch.channels_last)
    again.load_state_dict(weights)
    carried = _learner(again, stage)
    restore_optimiser(carried.optimiser, tensors)
    carried.learn(images, _LABELS, 4)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
