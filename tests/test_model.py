"""Backbone, pooling and head: built, grouped, and started from a local file of published weights."""

import math
import re

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from mammo_core.errors import InputError
from mammo_core.model import Architecture, build_model, layer_groups, load_backbone_weights

SMALL = Architecture(backbone="resnet18", in_channels=1)


def test_the_default_is_resnet101_and_its_names_are_torchvisions():
    model = build_model(Architecture(), device="meta")
    ours = {name: tuple(tensor.shape) for name, tensor in model.backbone.state_dict().items()}
    with torch.device("meta"):
        theirs = torchvision.models.resnet101().state_dict()
    assert ours == {name: tuple(t.shape) for name, t in theirs.items() if not name.startswith("fc.")}


def test_torchvisions_network_and_ours_agree_given_the_same_weights(tmp_path):
    torch.manual_seed(0)
    theirs = torchvision.models.resnet18().eval()
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    model = build_model(SMALL).eval()
    load_backbone_weights(model, tmp_path / "resnet18.pth")
    grey = torch.rand(2, 1, 64, 96)
    theirs.fc = torch.nn.Identity()
    with torch.inference_mode():
        pooled = model.features(grey).mean((2, 3))
        torch.testing.assert_close(pooled, theirs(grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


def test_the_head_starts_at_the_log_odds():
    torch.manual_seed(0)
    model = build_model(SMALL, log_odds=math.log(0.02 / 0.98)).eval()
    model.head.weight.data.zero_()
    logit = model(torch.rand(1, 1, 64, 64))
    assert torch.sigmoid(logit).item() == pytest.approx(0.02, abs=1e-6)


def test_pooling_by_hand():
    model = build_model(SMALL)
    model.head.weight.data.zero_()
    model.head.weight.data[0, 3] = 2.0
    model.head.bias.data.fill_(0.5)
    features = torch.zeros(1, 512, 2, 2)
    features[0, 3] = torch.tensor([[1.0, 0.0], [0.0, 3.0]])
    assert model.logits(features).item() == pytest.approx(2.5)  # 2 * mean 1 + 0.5
    peak = build_model(Architecture(backbone="resnet18", in_channels=1, pooling="max"))
    peak.load_state_dict(model.state_dict())
    assert peak.logits(features).item() == pytest.approx(6.5)  # 2 * max 3 + 0.5


def test_the_exponent_belongs_to_the_head():
    groups = layer_groups(build_model(Architecture(backbone="resnet18", in_channels=1, pooling="gem")))
    assert groups[-1].name == "head"
    assert set(groups[-1].parameters) == {"pool.excess", "head.weight", "head.bias"}
    assert set(layer_groups(build_model(SMALL))[-1].parameters) == {"head.weight", "head.bias"}


@pytest.mark.parametrize(
    "backbone", ["resnet18", "resnet101", "tf_efficientnet_lite0", "mobilenetv4_conv_small", "convnext_atto"]
)
def test_layer_groups_cover_every_parameter_once_in_forward_order(backbone):
    model = build_model(Architecture(backbone=backbone), device="meta")
    groups = layer_groups(model)
    names = [name for group in groups for name in group.parameters]
    assert sorted(names) == sorted(name for name, _ in model.named_parameters())
    stages = [f"stage{i}" for i in range(1, len(groups) - 1)]
    assert [group.name for group in groups] == ["stem", *stages, "head"]
    assert all(group.parameters for group in groups)


def test_resnet_stages_are_its_layers():
    groups = {group.name: group.parameters for group in layer_groups(build_model(SMALL, device="meta"))}
    assert list(groups) == ["stem", "stage1", "stage2", "stage3", "stage4", "head"]
    assert all(name.startswith("backbone.layer3.") for name in groups["stage3"])


def test_weights_from_safetensors_without_their_classifier(tmp_path):
    torch.manual_seed(0)
    published = timm.create_model("mobilenetv4_conv_small").eval()
    save_file(published.state_dict(), tmp_path / "weights.safetensors")
    model = build_model(Architecture(backbone="mobilenetv4_conv_small"))
    load_backbone_weights(model, tmp_path / "weights.safetensors")
    torch.testing.assert_close(
        model.backbone.state_dict()["conv_stem.weight"], published.state_dict()["conv_stem.weight"]
    )


def test_a_checkpoint_gives_its_backbone_and_not_its_head(tmp_path):
    torch.manual_seed(0)
    learnt = build_model(Architecture(backbone="resnet18", in_channels=1, pooling="gem"))
    torch.nn.init.normal_(learnt.head.weight)
    save_file(learnt.state_dict(), tmp_path / "checkpoint.safetensors")
    model = build_model(SMALL)
    before = model.head.weight.clone()
    load_backbone_weights(model, tmp_path / "checkpoint.safetensors")
    torch.testing.assert_close(model.backbone.state_dict(), learnt.backbone.state_dict())
    torch.testing.assert_close(model.head.weight, before)


def test_a_checkpoint_of_another_backbone_is_refused(tmp_path):
    other = build_model(Architecture(backbone="resnet34"))
    save_file(other.state_dict(), tmp_path / "checkpoint.safetensors")
    with pytest.raises(InputError, match="does not belong"):
        load_backbone_weights(build_model(SMALL), tmp_path / "checkpoint.safetensors")


def test_real_imagenet_weights_fit(shared):
    file = shared.parent / "weights" / "tf_efficientnet_lite0.safetensors"
    model = build_model(Architecture(backbone="tf_efficientnet_lite0"))
    load_backbone_weights(model, file)
    assert model.backbone.state_dict()["conv_stem.weight"].abs().max() > 1  # trained, not initialised


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("layer1.0.conv1.weight"), "tensor 'layer1.0.conv1.weight' is missing"),
        (
            lambda t: t.update({"bn1.weight": torch.zeros(3)}),
            r"'bn1.weight' has shape \[3\], expected \[64\]",
        ),
        (lambda t: t.update({"extra": torch.zeros(3)}), "tensor 'extra' does not belong"),
        (lambda t: t["bn1.weight"].fill_(math.nan), "tensor 'bn1.weight' holds a value that is not"),
    ],
)
def test_weights_that_do_not_fit_are_named(tmp_path, change, message):
    tensors = torchvision.models.resnet18().state_dict()
    change(tensors)
    torch.save(tensors, tmp_path / "w.pth")
    with pytest.raises(InputError, match=message):
        load_backbone_weights(build_model(SMALL), tmp_path / "w.pth")


class Planted:
    """Runs code when unpickled, were it ever unpickled."""

    def __reduce__(self):
        return (print, ("planted code ran",))


def test_pickled_code_is_refused_and_not_run(tmp_path, capsys):
    torch.save({"bn1.weight": Planted()}, tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"w\.pth: is not a file of plain tensors"):
        load_backbone_weights(build_model(SMALL), tmp_path / "w.pth")
    assert "planted" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 100])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_of_something_else_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="is not a file of plain tensors"):
        load_backbone_weights(build_model(SMALL), tmp_path / name)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        load_backbone_weights(build_model(SMALL), tmp_path / "absent.pth")


def test_a_backbone_without_published_weights_says_so():
    with pytest.raises(InputError, match="torchvision publishes no weights"):
        load_backbone_weights(build_model(Architecture(backbone="convnext_atto")))


@pytest.mark.parametrize("backbone", ["no_such_network", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"])
def test_backbones_without_a_feature_map_are_refused(backbone):
    with pytest.raises(InputError, match="timm"):
        build_model(Architecture(backbone=backbone))


def test_a_backbone_name_is_only_ever_a_name():
    with pytest.raises(ValueError, match="pattern"):
        Architecture(backbone="hf-hub:someone/something")


def test_a_network_says_what_it_is():
    assert Architecture().in_words == "resnet101, averaged over the picture, one logit"
    built = Architecture(backbone="resnet18", pooling="breast", stages=4, enlarge=1.5)
    assert (
        built.in_words
        == "resnet18, its last 4 stages, pictures enlarged 1.5 times, averaged over the breast, one logit"
    )


@pytest.mark.parametrize("stages", [1, 4])
def test_a_network_that_makes_no_feature_map_or_too_few_is_said(stages):
    words = {
        1: "backbone: timm's 'efficientvim_m1' gives list from 128 px",
        4: "stages: is 4, but EfficientViM has not",
    }
    with pytest.raises(InputError, match=re.escape(words[stages])):
        build_model(Architecture(backbone="efficientvim_m1", stages=stages), device="meta")
