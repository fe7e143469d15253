"""Where a model is cut in two: frozen layers, whose activations can be kept, and those behind them.

Knows nothing of pictures, or of what becomes of activations.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from mammo_core.model import Model
from mammo_core.phases import Phase
from mammo_core.pooling import breast_share, on_breast
from mammo_train.optimiser import trained_groups

_ALL = sys.maxsize
"""Steps in front of a cut behind which there is the head alone."""


@dataclass(frozen=True)
class Cut:
    """A model in two: frozen layers, and those behind them."""

    frozen: nn.Module
    """Images ``(N, C, H, W)`` -> activations ``(N, ...)``."""
    rest: nn.Module
    """Activations -> feature map ``(N, K, h, w)``; it shares the model's layers."""
    steps: int
    """Steps of the backbone in front of it: a cut with fewer lies before one with more."""
    through: int = 0
    """Number of the step whose result is the activations."""

    @property
    def pooled(self) -> bool:
        """Whether activations are one vector per picture, the head alone being behind them."""
        return isinstance(self.frozen, _Pooled)


def cut(model: Model, phase: Phase) -> Cut | None:
    """Divide a model before the first layer that learns; None where it cannot be, or nothing before it is frozen.

    With the head alone learning, pooling without parameters goes to the frozen side. Else the backbone's graph is
    traced (torch.fx) and cut where a single tensor passes from the frozen to the learning part.
    """
    groups = trained_groups(model, phase)
    if [group.name for group in groups] == ["head"]:
        whole = _Pooled(model) if model.pool is None else nn.Sequential(model.glass, model.backbone)
        return Cut(whole, nn.Identity(), _ALL)
    learning = {name.removeprefix("backbone.") for group in groups for name in group.parameters}
    nodes = _steps(model.backbone)
    first = next((place for place, node in enumerate(nodes) if _learns(node, model.backbone, learning)), 0)
    for place in range(first, 0, -1):
        before = set(nodes[:place])
        crossing = {given for node in nodes[place:] for given in node.all_input_nodes if given in before}
        if len(crossing) == 1:
            (node,) = crossing
            if node.op == "placeholder":
                return None
            frozen: nn.Module = _part(model.backbone, nodes[:place], nodes[0], node)
            rest: nn.Module = _part(model.backbone, nodes[place:-1], node, nodes[-1].all_input_nodes[0])
            if model.architecture.pooling == "breast":
                frozen, rest = _WithBreast(frozen), _OnBreast(rest)
            return Cut(nn.Sequential(model.glass, frozen), rest, place, nodes.index(node))
    return None


def between(model: Model, first: Cut, second: Cut) -> nn.Module:
    """Return the layers that make the activations at ``second`` of those at ``first``, which lies before it."""
    if second.steps == _ALL:
        return _Pooled(model, first.rest) if model.pool is None else first.rest
    nodes = _steps(model.backbone)
    steps = nodes[first.steps : second.steps]
    layers = _part(model.backbone, steps, nodes[first.through], nodes[second.through])
    return _BesideBreast(layers) if model.architecture.pooling == "breast" else layers


class _Pooled(nn.Module):
    """Layers and the model's pooling, as a feature map of one cell ``(N, K, 1, 1)``, which pools to itself."""

    def __init__(self, model: Model, layers: nn.Module | None = None) -> None:
        """``layers`` make a feature map of what they are given; None: the model's do, of images."""
        super().__init__()
        self.model = model
        self.layers = layers

    def forward(self, given: Tensor) -> Tensor:
        features: Tensor = self.model.features(given) if self.layers is None else self.layers(given)
        return self.model.pooled(features.float())[:, :, None, None]


class _WithBreast(nn.Module):
    """Frozen layers that say, in two more channels of their activations, how much breast each place shows."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images)
        return _joined(found, breast_share(images, *found.shape[2:]))


class _BesideBreast(nn.Module):
    """Layers between two cuts, what is said of the breast being taken along to their map's grid."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, given: Tensor) -> Tensor:
        maps, share = _parted(given)
        found: Tensor = self.layers(maps)
        return _joined(found, functional.adaptive_avg_pool2d(share, (found.shape[2], found.shape[3])))


class _OnBreast(nn.Module):
    """The layers behind `_WithBreast`, their map weighed by what its last channels say."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, given: Tensor) -> Tensor:
        maps, share = _parted(given)
        return on_breast(self.layers(maps), share)


def _joined(maps: Tensor, share: Tensor) -> Tensor:
    """Put float32 ``(N, 1, h, w)`` behind the channels of maps ``(N, K, h, w)``: what 16 bits hold, and the rest."""
    most = share.to(maps.dtype)
    return torch.cat([maps, most, (share - most.float()).to(maps.dtype)], 1)


def _parted(given: Tensor) -> tuple[Tensor, Tensor]:
    """Take apart what `_joined` has put together."""
    return given[:, :-2], given[:, -2:-1].float() + given[:, -1:].float()


class _Tracer(fx.Tracer):
    """Takes torch's and timm's layers whole: what they do in training and in evaluation stays theirs."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002 (fx's signature)
        return m.__module__.startswith(("torch.nn", "timm.layers")) and not isinstance(m, nn.Sequential)


def _steps(backbone: nn.Module) -> list[fx.Node]:
    """Trace a backbone's steps, always the same ones; none where it cannot be."""
    try:
        return list(_Tracer().trace(backbone).nodes)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, NotImplementedError):
        return []


def _learns(node: fx.Node, backbone: nn.Module, learning: set[str]) -> bool:
    """Whether a step of the graph uses a parameter that learns."""
    if node.op == "get_attr":
        return node.target in learning
    if node.op != "call_module":
        return False
    layer = backbone.get_submodule(str(node.target))
    return any(f"{node.target}.{name}" in learning for name, _ in layer.named_parameters())


def _part(backbone: nn.Module, nodes: Sequence[fx.Node], given: fx.Node, result: fx.Node) -> fx.GraphModule:
    """Make a module of some steps of the graph; it shares the backbone's layers."""
    graph = fx.Graph()
    copied = {given: graph.placeholder("given")}
    for node in nodes:
        if node is not given:
            copied[node] = graph.node_copy(node, lambda old: copied[old])
    graph.output(copied[result])
    return fx.GraphModule(backbone, graph)
