"""Several stages of a backbone as one feature map: which maps, which weights, and what cannot be done."""

from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from made import made_checkpoint
from mammo_core.checkpoint import load_checkpoint, model_of
from mammo_core.errors import InputError
from mammo_core.hypercolumn import Hypercolumn
from mammo_core.model import Architecture, build_model, layer_groups, load_backbone_weights

BACKBONES = ["resnet10t", "tf_efficientnet_lite0", "convnext_atto", "densenet121", "mobilenetv4_conv_small"]


def built(backbone: str, stages: int, **changes: Any):
    torch.manual_seed(0)
    return build_model(Architecture(backbone=backbone, stages=stages, in_channels=1, **changes)).eval()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_map_holds_the_maps_of_the_last_stages(backbone):
    model = built(backbone, 3)
    whole = timm.create_model(backbone, in_chans=1, num_classes=0).eval()
    assert whole.load_state_dict(model.published.state_dict(), strict=False).unexpected_keys == []
    stages = list(whole.blocks[-3:]) if hasattr(whole, "blocks") else None
    images = torch.randn(2, 1, 128, 96)
    seen: list[torch.Tensor] = []
    for stage in stages or []:
        stage.register_forward_hook(lambda _module, _given, found: seen.append(found))
    with torch.inference_mode():
        found = model.features(images)
        maps = whole.forward_intermediates(images, indices=3, intermediates_only=True)
    maps = seen or maps
    assert found.shape[1] == sum(part.shape[1] for part in maps) == model.head.in_features
    stretched = [torch.nn.functional.interpolate(part, maps[0].shape[2:], mode="bilinear") for part in maps]
    torch.testing.assert_close(found, torch.cat(stretched, 1))


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_parameter_is_in_a_group_and_gets_a_gradient(backbone):
    model = built(backbone, 2, pooling="breast", enlarge=1.5).train()
    named = dict(model.named_parameters())
    grouped = [name for group in layer_groups(model) for name in group.parameters]
    assert sorted(grouped) == sorted(named)
    assert layer_groups(model)[-1].parameters == ("head.weight", "head.bias")
    model(torch.randn(2, 1, 64, 64)).sum().backward()
    assert [name for name, parameter in named.items() if parameter.grad is None] == []


def test_published_weights_fit_without_what_comes_after_the_last_stage(tmp_path):
    published = timm.create_model("tf_efficientnet_lite0", num_classes=10)
    save_file(published.state_dict(), tmp_path / "weights.safetensors")
    model = build_model(Architecture(backbone="tf_efficientnet_lite0", stages=2))
    load_backbone_weights(model, tmp_path / "weights.safetensors")
    kept = model.published.state_dict()
    assert "conv_head.weight" not in kept
    for name, tensor in kept.items():
        assert torch.equal(tensor, published.state_dict()[name]), name


def test_a_tensor_that_belongs_nowhere_is_refused_still(tmp_path):
    tensors = dict(timm.create_model("resnet10t", num_classes=0).state_dict())
    tensors["layer9.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "weights.safetensors")
    model = build_model(Architecture(backbone="resnet10t", stages=3))
    with pytest.raises(InputError, match=r"'layer9\.weight' does not belong"):
        load_backbone_weights(model, tmp_path / "weights.safetensors")


@pytest.mark.parametrize(("first", "second"), [(2, 2), (2, 3), (1, 2), (2, 1)])
def test_a_checkpoint_hands_its_backbone_on(tmp_path, first, second):
    learnt = built("resnet10t", first)
    save_file(learnt.state_dict(), tmp_path / "learnt.safetensors")
    model = build_model(Architecture(backbone="resnet10t", stages=second, in_channels=1))
    load_backbone_weights(model, tmp_path / "learnt.safetensors")
    torch.testing.assert_close(model.published.state_dict(), learnt.published.state_dict())


def test_a_checkpoint_remembers_its_stages(tmp_path):
    made_checkpoint(tmp_path / "m.safetensors", stages=3, pooling="breast")
    checkpoint = load_checkpoint(tmp_path / "m.safetensors")
    assert checkpoint.header.architecture.stages == 3
    images = torch.randn(1, 1, 128, 96)
    with torch.inference_mode():
        assert model_of(checkpoint).features(images).shape[2:] == (16, 12)


def test_more_stages_than_there_are_is_said():
    net = timm.create_model("resnet10t", num_classes=0, global_pool="")
    with pytest.raises(InputError, match="stages: is 6, but ResNet has not so many"):
        Hypercolumn(net, 6)


def test_a_network_that_gives_its_last_map_alone_is_said():
    with pytest.raises(InputError, match="stages: is 2, but timm gives only the last map of Linear: expected 1"):
        Hypercolumn(torch.nn.Linear(1, 1), 2)
