"""The model: a timm backbone, pooling over the feature map, one linear logit.

Knows nothing of images, files on disk other than a backbone's published weights, or how it is trained.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import safetensors
import safetensors.torch
import timm
import torch
from pydantic import Field
from timm.models import adapt_input_conv, group_parameters
from torch import Tensor, nn

from mammo_core.errors import InputError
from mammo_core.glass import Glass
from mammo_core.hypercolumn import Hypercolumn
from mammo_core.pooling import GeneralisedMean, breast_share, on_breast
from mammo_core.settings import Settings

_PROBE = 128
"""Side of the picture that a backbone is tried with: four cells at a stride of 32."""

_PICTURES = 4
_FIELD = 512
"""Random pictures over which a receptive field is averaged, and their side in pixels."""

_BACKBONE = re.compile(r"^backbone\.(net\.)?")
"""What the names of a model's backbone begin with in its checkpoint, with one stage and with several."""


_POOLED = {
    "avg": "averaged over the picture",
    "breast": "averaged over the breast",
    "max": "largest value in the picture",
    "gem": "generalised mean over the picture",
}
"""Ways of pooling in words."""


class Architecture(Settings):
    """Everything needed to build the network, before its weights."""

    backbone: str = Field(default="resnet101", pattern=r"^[a-z0-9_]+$")
    """timm's name of a convolutional backbone."""
    pooling: Literal["avg", "breast", "max", "gem"] = "avg"
    """How the feature map becomes one vector: its mean, its mean over the breast alone, its largest value, or a
    generalised mean that learns where between the two to stand. With "avg" and "breast" every cell's share of the
    logit is known exactly; with "breast" air and padding have none."""
    stages: int = Field(default=1, ge=1, le=4)
    """How many of the backbone's last stages are pooled: 1 is its last map alone; with earlier ones, whose maps are
    finer, small things count and heatmaps have more cells."""
    enlarge: float = Field(default=1.0, ge=1, le=4)
    """How many times its size the picture is looked at: small pictures lose small things in a backbone's first layers,
    and their heatmaps have few cells. The work grows with its square."""
    without_markers: bool = False
    """Whether nipple markers at the skin and lettering beside the breast are painted over before the backbone looks
    (`mammo_core.unmarked`)."""
    in_channels: Literal[1, 3] = 3
    """Channels of the input."""

    @property
    def averages(self) -> bool:
        """Whether the vector is a mean over cells, so that each cell's share of the logit is known exactly."""
        return self.pooling in ("avg", "breast")

    @property
    def in_words(self) -> str:
        """What the network is, for a person."""
        stages = "" if self.stages == 1 else f", its last {self.stages} stages"
        enlarged = "" if self.enlarge == 1 else f", pictures enlarged {self.enlarge:g} times"
        markers = ", markers painted over" if self.without_markers else ""
        return f"{self.backbone}{stages}{markers}{enlarged}, {_POOLED[self.pooling]}, one logit"


@dataclass(frozen=True)
class LayerGroup:
    """Layers that are trained or frozen together, with the names of their parameters in the model."""

    name: str
    """"stem", "stage1", "stage2", ... or "head", in the order of the forward pass."""
    parameters: tuple[str, ...]


class Model(nn.Module):
    """``logit = head(pool(backbone(image)))``."""

    def __init__(self, architecture: Architecture, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.glass = Glass(architecture.enlarge, without_markers=architecture.without_markers)
        self.backbone = backbone
        self.pool = GeneralisedMean() if architecture.pooling == "gem" else None
        self.head = nn.Linear(channels, 1)

    @property
    def published(self) -> nn.Module:
        """The timm network in the backbone, with the names that its published weights have."""
        return self.backbone.net if isinstance(self.backbone, Hypercolumn) else self.backbone

    def features(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> feature map ``(N, K, h, w)``, what the heatmaps are drawn from.

        With pooling "breast" it is weighed by how much breast each cell shows, and 0 where there is none.
        """
        large = self.glass(images)
        found: Tensor = self.backbone(large)
        if self.architecture.pooling == "breast":
            return on_breast(found, breast_share(large, *found.shape[2:]))
        return found

    def pooled(self, features: Tensor) -> Tensor:
        """Feature map ``(N, K, h, w)`` -> one vector per image ``(N, K)``."""
        if self.pool is not None:
            pooled: Tensor = self.pool(features)
            return pooled
        return features.mean((2, 3)) if self.architecture.averages else features.amax((2, 3))

    def logits(self, features: Tensor) -> Tensor:
        """Feature map ``(N, K, h, w)`` -> logits ``(N,)``."""
        found: Tensor = self.head(self.pooled(features))
        return found[:, 0]

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` -> logits ``(N,)``."""
        return self.logits(self.features(images))


def build_model(architecture: Architecture, *, log_odds: float = 0.0, device: str = "cpu") -> Model:
    """Make a model with random weights whose head answers ``log_odds`` of the prevalence at first.

    The head's weights start small, so that the first losses measure the prevalence and not the
    initialisation. Raises InputError for a backbone that timm does not have or that makes no feature map.
    """
    name = architecture.backbone
    if not timm.is_model(name):
        raise InputError("backbone", f"timm {timm.__version__} has no model {name!r}")
    channels = _feature_channels(architecture)
    with torch.device(device):
        model = Model(architecture, _backbone(architecture), channels)
        with torch.no_grad():
            nn.init.normal_(model.head.weight, std=0.01)
            nn.init.constant_(model.head.bias, log_odds)
    return model


def layer_groups(model: Model) -> tuple[LayerGroup, ...]:
    """Split the model's parameters into stem, stages and head, for any backbone and without a rest.

    timm's own coarse grouping; what it puts after the last stage (a final norm or convolution) goes with
    that stage. The exponent of GeM pooling goes with the head.
    """
    # timm types group_matcher per model class; every backbone in its registry has one.
    matcher = model.published.group_matcher(coarse=True)  # type: ignore[operator]
    found: Mapping[int, list[str]] = group_parameters(model.published, matcher)
    whose = {id(parameter): name for name, parameter in model.named_parameters()}
    parameters = dict(model.published.named_parameters())
    members = [[whose[id(parameters[name])] for name in found[key]] for key in sorted(found)]
    names = ["stem", *(f"stage{i}" for i in range(1, len(members)))]
    groups = [LayerGroup(name, tuple(part)) for name, part in zip(names, members, strict=True)]
    rest = tuple(name for name, _ in model.named_parameters() if not name.startswith("backbone."))
    return (*groups, LayerGroup("head", rest))


def cell_shift(model: Model) -> tuple[float, float]:
    """Measure where a cell of the feature map looks, as pixels ``(down, right)`` of its block's middle.

    A cell of a stride of 32 is often drawn as the middle of its 32 x 32 block of input pixels. That holds for
    patch-like stems; a ResNet's symmetric padding makes it look 15.5 pixels up and left of there. Measured
    as the centroid of the squared gradient at the input (the effective receptive field of Luo et al.,
    NeurIPS 2016) over random pictures, always the same ones, large enough to hold most of the field.
    """
    generator = torch.Generator().manual_seed(0)
    channels = model.architecture.in_channels
    device = model.head.weight.device
    images = torch.randn(_PICTURES, channels, _FIELD, _FIELD, generator=generator).to(device).requires_grad_()
    training = model.training
    features = model.eval().features(images)
    model.train(training)
    _, depth, rows, columns = features.shape
    signs = torch.randn(_PICTURES, depth, generator=generator).to(device)
    middle = features[:, :, rows // 2, columns // 2]
    (gradient,) = torch.autograd.grad((middle * signs).sum(), images)
    energy = gradient.square().sum((0, 1)).cpu().double()
    down = (energy.sum(1) * (torch.arange(_FIELD) + 0.5)).sum() / energy.sum()
    right = (energy.sum(0) * (torch.arange(_FIELD) + 0.5)).sum() / energy.sum()
    block = ((rows // 2 + 0.5) * _FIELD / rows, (columns // 2 + 0.5) * _FIELD / columns)
    return float(down) - block[0], float(right) - block[1]


def load_backbone_weights(model: Model, file: Path | None = None) -> None:
    """Put published weights into the backbone, from a local file or, with none, from torchvision's server.

    ``file`` is a .safetensors, or a .pth or .pt as torchvision and timm publish them, of which nothing but
    tensors is read. Its classifier is left out and a colour stem is summed for grey input; every other name
    and shape must match. A checkpoint of this product gives its backbone, so that what one set taught can be carried
    to another. Raises InputError naming the file and the tensor that does not.
    """
    if file is None:
        source, tensors = _torchvision_weights(model.architecture.backbone)
    else:
        source, tensors = file.name, _backbone_of(_tensors_of(file))
    config = cast("Mapping[str, object]", model.published.pretrained_cfg)
    stems = [f"{name}.weight" for name in _names(config, "first_conv")]
    wanted = model.published.state_dict()
    skipped = [f"{name}." for name in _names(config, "classifier")]
    skipped += _left_out(model)
    for name in [name for name in tensors if name.startswith(tuple(skipped))]:
        del tensors[name]
    for stem in stems:
        if stem in tensors and stem in wanted and tensors[stem].ndim == wanted[stem].ndim == 4:
            tensors[stem] = adapt_input_conv(model.architecture.in_channels, tensors[stem])
    for name, tensor in wanted.items():
        if name.endswith(".num_batches_tracked"):
            # A counter that PyTorch 0.4 and converters leave out and that evaluation never reads.
            tensors.setdefault(name, torch.zeros_like(tensor))
    check_tensors(source, {k: tuple(v.shape) for k, v in tensors.items()}, wanted)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(source, f"tensor {name!r} holds a value that is not a finite number")
    model.published.load_state_dict(tensors, strict=True)


def check_tensors(source: str, found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, Tensor]) -> None:
    """Raise InputError, naming ``source`` and the tensor, unless names and shapes are as wanted."""
    for name, tensor in wanted.items():
        if name not in found:
            raise InputError(source, f"tensor {name!r} is missing")
        if found[name] != tuple(tensor.shape):
            reason = f"tensor {name!r} has shape {list(found[name])}, expected {list(tensor.shape)}"
            raise InputError(source, reason)
    for name in found:
        if name not in wanted:
            raise InputError(source, f"tensor {name!r} does not belong to this architecture")


def _timm_backbone(architecture: Architecture) -> nn.Module:
    with warnings.catch_warnings():
        # timm warns about names that it has changed since; a checkpoint holds the name it was made with.
        warnings.simplefilter("ignore", UserWarning)
        found: nn.Module = timm.create_model(
            architecture.backbone,
            pretrained=False,
            num_classes=0,
            global_pool="",
            in_chans=architecture.in_channels,
        )
    return found


def _backbone(architecture: Architecture) -> nn.Module:
    """Make the backbone with as many stages as the architecture pools."""
    net = _timm_backbone(architecture)
    return net if architecture.stages == 1 else Hypercolumn(net, architecture.stages)


def _left_out(model: Model) -> list[str]:
    """Names of published tensors that a backbone of several stages has no use for: those after its last stage."""
    if model.architecture.stages == 1:
        return []
    with torch.device("meta"):
        whole = _timm_backbone(model.architecture).state_dict()
    return sorted(set(whole) - set(model.published.state_dict()))


def _feature_channels(architecture: Architecture) -> int:
    """Channels of the feature map, found by a forward pass without data or memory (the meta device)."""
    name = architecture.backbone
    try:
        with torch.device("meta"), torch.inference_mode():
            backbone = _backbone(architecture).eval()
            found = backbone(torch.empty(1, architecture.in_channels, _PROBE, _PROBE))
            grouped = hasattr(_timm_backbone(architecture), "group_matcher")
    except InputError:
        raise
    except (RuntimeError, AssertionError, TypeError, ValueError, NotImplementedError) as error:
        reason = f"timm's {name!r} cannot be used here: {_first_line(error)}"
        raise InputError("backbone", reason) from None
    # Some of timm's networks answer with a list of maps.
    shape = tuple(found.shape) if isinstance(found, Tensor) else ()
    if len(shape) != 4 or not 1 < shape[2] == shape[3] < _PROBE or not grouped:
        given = list(shape) or type(found).__name__
        reason = f"timm's {name!r} gives {given} from {_PROBE} px, not a feature map (N, K, h, w)"
        raise InputError("backbone", reason)
    return int(shape[1])


def _names(config: Mapping[str, object], key: str) -> tuple[str, ...]:
    """Read a module name or several from a timm configuration."""
    value = config.get(key)
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, (tuple, list)) else ()


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:120]


def _torchvision_weights(backbone: str) -> tuple[str, dict[str, Tensor]]:
    """Download torchvision's default ImageNet weights, whose names are timm's for the ResNet family."""
    from torchvision.models import get_model_weights, list_models

    if not re.fullmatch(r"(wide_)?res(net|next)\d+.*", backbone) or backbone not in list_models():
        reason = f"torchvision publishes no weights that fit {backbone!r}: give a file of weights"
        raise InputError("backbone weights", reason)
    weights = get_model_weights(backbone).DEFAULT
    try:
        return str(weights), dict(weights.get_state_dict(progress=True, check_hash=True))
    except OSError as error:
        reason = f"could not be downloaded ({error}): on a machine without internet give a file of weights"
        raise InputError(str(weights), reason) from None


def _backbone_of(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take the backbone out of a whole `Model`'s tensors; published weights stay as they are."""
    if "head.weight" not in tensors or not any(_BACKBONE.match(name) for name in tensors):
        return tensors
    return {_BACKBONE.sub("", name): tensor for name, tensor in tensors.items() if _BACKBONE.match(name)}


def _tensors_of(file: Path) -> dict[str, Tensor]:
    """Read a file of weights as float tensors, never running what is in it."""
    try:
        if file.suffix == ".safetensors":
            return dict(safetensors.torch.load_file(file))
        found = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(file.name, "is not there; expected a file of backbone weights") from None
    except Exception as error:
        # Two libraries and an unpickler each raise their own; all of it means that the file is unusable.
        reason = f"is not a file of plain tensors ({type(error).__name__}: {_first_line(error)})"
        raise InputError(file.name, reason) from None
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(file.name, "holds something else than named tensors; expected backbone weights")
    return {str(name): value for name, value in found.items()}
