"""One file, read strictly: what was saved comes back, and whatever does not fit is named."""

import json
import math
import struct

import pytest
import safetensors.torch
import torch

from made import made_checkpoint
from mammo_core.calibration import Calibration
from mammo_core.checkpoint import (
    CheckpointHeader,
    ValidationScores,
    load_checkpoint,
    model_of,
    save_checkpoint,
)
from mammo_core.errors import InputError
from mammo_core.files import sha256_of
from mammo_core.inputs import InputSettings
from mammo_core.model import Architecture, build_model
from mammo_core.model_files import DEFAULT_MODEL, bundled_models, find_model, learnt_from_phantoms

CALIBRATION = Calibration(
    slope=1.5, intercept=0.1, fitted_prevalence=0.5, stated_prevalence=0.5, unit="view", n=100, source="made"
)
KEY = "mammo_checkpoint"


@pytest.fixture
def path(tmp_path):
    made_checkpoint(tmp_path / "made.safetensors")
    return tmp_path / "made.safetensors"


def rewrite(path, *, tensors=None, metadata=None) -> None:
    """Write the file again with changed tensors, or changed fields of its metadata."""
    with safetensors.safe_open(path, framework="pt") as opened:
        fields = json.loads(opened.metadata()[KEY])
        kept = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    (tensors or (lambda _: None))(kept)
    (metadata or (lambda _: None))(fields)
    path.write_bytes(safetensors.torch.save(kept, metadata={KEY: json.dumps(fields)}))


def test_everything_comes_back(tmp_path):
    scores = ValidationScores(unit="breast", patients=("a", "b"), labels=(True, False), scores=(0.9, 0.1))
    saved = made_checkpoint(tmp_path / "m.safetensors", calibration=CALIBRATION, validation=scores)
    found = load_checkpoint(tmp_path / "m.safetensors")
    assert found.header == saved.header
    assert found.header.calibration == CALIBRATION
    assert found.header.validation == scores
    assert found.sha256 == sha256_of(tmp_path / "m.safetensors")
    torch.manual_seed(0)
    same = build_model(found.header.architecture)
    torch.nn.init.normal_(same.head.weight)
    image = torch.rand(1, 1, 128, 96)
    torch.testing.assert_close(model_of(found)(image), same.eval()(image))


@pytest.mark.parametrize("half", [False, True])
def test_the_exponent_of_gem_pooling_comes_back(tmp_path, half):
    model = build_model(Architecture(backbone="resnet10t", in_channels=1, pooling="gem"))
    model.pool.excess.data.fill_(0.7)
    header = made_checkpoint(tmp_path / "m.safetensors", pooling="gem").header
    save_checkpoint(tmp_path / "m.safetensors", header, model.state_dict(), half=half)
    found = model_of(load_checkpoint(tmp_path / "m.safetensors"))
    assert found.pool.exponent.item() == pytest.approx(1 + math.log1p(math.exp(0.7)), abs=1e-3 if half else 1e-6)


def test_weights_of_another_pooling_do_not_fit(tmp_path):
    header = made_checkpoint(tmp_path / "m.safetensors", pooling="gem").header
    model = build_model(Architecture(backbone="resnet10t", in_channels=1))
    with pytest.raises(InputError, match=r"tensor 'pool\.excess' is missing"):
        save_checkpoint(tmp_path / "m.safetensors", header, model.state_dict())


def test_half_precision_is_half_the_size_and_is_cast_up(tmp_path):
    full = made_checkpoint(tmp_path / "full.safetensors")
    half = save_checkpoint(tmp_path / "half.safetensors", full.header, full.weights, half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.52 * sizes[1]
    weight = half.weights["head.weight"]
    assert weight.dtype == torch.float32
    assert torch.equal(weight, full.weights["head.weight"].half().float())


def test_a_weight_too_large_for_half_precision_is_not_saved(tmp_path):
    full = made_checkpoint(tmp_path / "full.safetensors")
    weights = dict(full.weights) | {"head.bias": torch.tensor([1e6])}
    with pytest.raises(InputError, match=r"tensor 'head\.bias' holds a value that is not a finite"):
        save_checkpoint(tmp_path / "half.safetensors", full.header, weights, half=True)
    assert not (tmp_path / "half.safetensors").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("head.bias"), r"tensor 'head\.bias' is missing"),
        (lambda t: t.update({"head.bias": torch.zeros(2)}), r"'head\.bias' has shape \[2\], expected \[1\]"),
        (lambda t: t.update({"more": torch.zeros(2)}), "tensor 'more' does not belong"),
        (
            lambda t: t.update({"head.bias": torch.zeros(1, dtype=torch.float64)}),
            "stored as F64, expected F32 or F16",
        ),
        (
            lambda t: t.update({"head.bias": torch.zeros(1, dtype=torch.int64)}),
            "stored as I64, expected F32 or F16",
        ),
        (lambda t: t["head.bias"].fill_(math.inf), r"tensor 'head\.bias' holds a value that is not a finite"),
    ],
)
def test_tensors_that_do_not_fit_are_named(path, change, message):
    rewrite(path, tensors=change)
    with pytest.raises(InputError, match=message):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(surprise=1), "metadata field surprise: Extra inputs are not permitted"),
        (lambda m: m.pop("card"), "metadata field card: Field required"),
        (lambda m: m.update(format=2), "metadata field format"),
        (lambda m: m.update(name="../evil"), "metadata field name"),
        (lambda m: m["inputs"].update(height=100), "metadata field inputs.height"),
        (lambda m: m["inputs"].update(std=[0.0]), "std positive"),
        (lambda m: m["architecture"].update(backbone="hf-hub:a/b"), "metadata field architecture.backbone"),
        (lambda m: m["architecture"].update(backbone="nothing"), "timm .* has no model 'nothing'"),
        (
            lambda m: m["architecture"].update(in_channels=3),
            "inputs have 1 channels, the architecture takes 3",
        ),
        (
            lambda m: m["architecture"].update(backbone="resnet18"),
            "tensor 'backbone.conv1.weight' is missing",
        ),
        (lambda m: m.update(cell_shift=[math.nan, 0]), "metadata field cell_shift"),
    ],
)
def test_metadata_that_does_not_fit_is_named(path, change, message):
    rewrite(path, metadata=change)
    with pytest.raises(InputError, match=message):
        load_checkpoint(path)


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.3, 0.999999])
def test_a_file_cut_off_is_refused(path, part):
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(InputError, match=r"made\.safetensors: "):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a checkpoint at all, but text", "claims"),
        (struct.pack("<Q", 10**15) + b"{}", "claims 1000000000000000 bytes of metadata"),
        (struct.pack("<Q", 20) + b"[" * 20, "not a whole safetensors file"),
        (safetensors.torch.save({"a": torch.zeros(1)}), "weights alone are not a checkpoint"),
        (safetensors.torch.save({"a": torch.zeros(1)}, metadata={KEY: "{"}), "metadata is not JSON"),
        (safetensors.torch.save({"a": torch.zeros(1)}, metadata={KEY: "[" * 100_000}), "metadata is "),
    ],
)
def test_something_else_is_refused(tmp_path, content, message):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=message):
        load_checkpoint(tmp_path / "x.safetensors")


def test_a_pickle_is_refused(tmp_path):
    torch.save({"head.bias": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"x\.safetensors: "):
        load_checkpoint(tmp_path / "x.safetensors")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        load_checkpoint(tmp_path / "absent.safetensors")


def test_models_are_found_by_name_or_file(path):
    assert find_model(str(path)) == path
    with pytest.raises(InputError, match="model 'nowhere': is neither a file nor a bundled model"):
        find_model("nowhere")


def test_every_bundled_model_loads_and_is_small_enough_to_ship():
    assert "phantom-demo" in bundled_models()
    for name, file in bundled_models().items():
        checkpoint = load_checkpoint(file)
        assert checkpoint.header.name == name
        assert file.stat().st_size <= 12e6
        assert checkpoint.header.operating_point is not None
        assert checkpoint.header.calibration is not None
    assert find_model() == bundled_models()[DEFAULT_MODEL]


def test_what_a_model_learnt_from_is_known_without_loading_it(path, tmp_path):
    assert learnt_from_phantoms(path)
    made_checkpoint(tmp_path / "real.safetensors", training_domain="mammogram")
    assert not learnt_from_phantoms(tmp_path / "real.safetensors")
    (tmp_path / "none.safetensors").write_bytes(b"\xff" * 64)
    assert not learnt_from_phantoms(tmp_path / "none.safetensors")


def test_validation_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="differ in length: 1, 2, 1"):
        ValidationScores(unit="breast", patients=("a",), labels=(True, False), scores=(0.1,))


def test_input_settings_are_part_of_the_header(path):
    assert isinstance(load_checkpoint(path).header, CheckpointHeader)
    assert load_checkpoint(path).header.inputs == InputSettings(height=128, width=96, mean=(0.5,), std=(0.25,))
