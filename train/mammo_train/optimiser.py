"""Which layers of a model learn in a phase, and at which rate at which step.

Knows nothing of images, losses or loops.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mammo_core.errors import InputError
from mammo_core.model import LayerGroup, Model, layer_groups
from mammo_core.phases import Phase

_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_END = _ONE_CYCLE_START / 1e4
"""Rates of a one-cycle schedule beside its highest, as torch's `OneCycleLR` has them."""


def trained_groups(model: Model, phase: Phase) -> tuple[LayerGroup, ...]:
    """Return the layer groups that learn, from the first to the head; InputError where there are too few."""
    groups = layer_groups(model)
    if phase.trained == "all":
        return groups
    if phase.trained > len(groups):
        names = ", ".join(group.name for group in groups)
        reason = f'is {phase.trained}, but {model.architecture.backbone} has {len(groups)} groups ({names}); or "all"'
        raise InputError(f"phase {phase.name}: trained", reason)
    return groups[-phase.trained :]


@contextmanager
def layers_trained(model: Model, phase: Phase) -> Iterator[None]:
    """Let the phase's layers learn and keep the others exactly as they are, until the block is left.

    ``requires_grad=False`` alone does not stop batch-norm statistics, and ``model.train()`` would set frozen
    layers going again: every frozen module, dropout and drop path inside it included, goes back to evaluation
    mode whenever it is used. With ``phase.batch_norm`` "frozen" so does every batch norm; its weight and bias learn
    on where their group does. On leaving everything may learn again.
    """
    learning = {name for group in trained_groups(model, phase) for name in group.parameters}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learning)
    hooks = [module.register_forward_pre_hook(_stay_in_evaluation) for module in _still(model, phase)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        model.requires_grad_(True)


def make_optimiser(model: Model, phase: Phase) -> torch.optim.Optimizer:
    """Make the optimiser of the layers that learn, each group of them at its own rate.

    Every parameter group has a "name" (such as "stage4", or "stage4 undecayed") and an "initial_lr", its highest.
    """
    groups = parameter_groups(model, phase)
    if phase.optimizer == "sgd":
        # Nesterov's momentum is none at 0, and torch refuses it there.
        nesterov = phase.momentum > 0
        return torch.optim.SGD(groups, lr=phase.learning_rate, momentum=phase.momentum, nesterov=nesterov)
    return torch.optim.AdamW(groups, lr=phase.learning_rate, betas=(phase.momentum, 0.999))


def parameter_groups(model: Model, phase: Phase) -> list[dict[str, Any]]:
    """Return torch's parameter groups, from the first group that learns to the head.

    Biases, norms and the pooling exponent, all of one dimension or none, are not decayed: decay would pull them
    towards no function, not towards a simple one (He et al., Bag of Tricks, CVPR 2019).
    """
    parameters = dict(model.named_parameters())
    found: list[dict[str, Any]] = []
    for group, rate in zip(trained_groups(model, phase), learning_rates(model, phase).values(), strict=True):
        members = [parameters[name] for name in group.parameters]
        for name, part, decay in (
            (group.name, [p for p in members if p.ndim > 1], phase.weight_decay),
            (f"{group.name} undecayed", [p for p in members if p.ndim <= 1], 0.0),
        ):
            if part:
                found.append({"params": part, "name": name, "lr": rate, "initial_lr": rate, "weight_decay": decay})
    return found


def parameter_group(name: str, module: nn.Module, phase: Phase) -> dict[str, Any]:
    """Return the parameter group of what learns beside the model, at the head's rate and undecayed."""
    rate = phase.learning_rate
    members = list(module.parameters())
    return {"params": members, "name": f"{name} undecayed", "lr": rate, "initial_lr": rate, "weight_decay": 0.0}


def learning_rates(model: Model, phase: Phase) -> dict[str, float]:
    """Return the highest learning rate of every layer group that learns, by name, in forward order.

    The head has ``learning_rate``, the last stage ``backbone_rate`` times that, and every group before it
    ``layer_decay`` times that of the one after.
    """
    names = [group.name for group in trained_groups(model, phase)]
    rates = {names[-1]: phase.learning_rate}
    for depth, name in enumerate(reversed(names[:-1])):
        rates[name] = phase.learning_rate * phase.backbone_rate * phase.layer_decay**depth
    return {name: rates[name] for name in names}


def rate_factor(phase: Phase, step: int, steps_per_epoch: int, history: Sequence[float] = ()) -> float:
    """Return what every rate is multiplied by at a step, in (0, 1]: a function of nothing but its arguments.

    ``step`` counts from 0 over the whole phase; ``history`` is the validation metric, larger being better, after
    each epoch of the phase so far, which "plateau" goes by.
    """
    steps = phase.epochs * steps_per_epoch
    rise = phase.warmup * steps
    if phase.schedule == "one_cycle":
        return _one_cycle(step, rise, steps)
    if step < rise:
        return (step + 1) / (math.ceil(rise) + 1)
    if phase.schedule == "cosine":
        return _along_cosine(1.0, 0.0, (step - math.ceil(rise)) / (steps - math.ceil(rise)))
    if phase.schedule == "plateau":
        return float(phase.plateau_factor ** _stalls(history, phase.plateau_epochs))
    return 1.0


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> dict[str, float]:
    """Set every group's rate to ``factor`` times its highest; return the rates by name of layer group."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor
    return {group["name"].removesuffix(" undecayed"): group["lr"] for group in optimiser.param_groups}


def _still(model: Model, phase: Phase) -> list[nn.Module]:
    """Return the modules that stay in evaluation mode: all that lies in a module of frozen parameters alone."""
    still: dict[nn.Module, None] = {}
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            still.update(dict.fromkeys(module.modules()))
        elif phase.batch_norm == "frozen" and isinstance(module, _BatchNorm):
            still[module] = None
    return list(still)


def _stay_in_evaluation(module: nn.Module, _inputs: Any) -> None:
    module.training = False


def _one_cycle(step: int, rise: float, steps: int) -> float:
    """Follow torch's `OneCycleLR` with cosine annealing, of ``pct_start = rise / steps``."""
    top, last = rise - 1, steps - 1
    if step <= top:
        return _along_cosine(_ONE_CYCLE_START, 1.0, step / top if top > 0 else 1.0)
    return _along_cosine(1.0, _ONE_CYCLE_END, (step - top) / (last - top))


def _along_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def _stalls(history: Sequence[float], patience: int) -> int:
    """Count how often ``patience`` epochs in a row brought no better value than the best before."""
    best, waited, stalls = -math.inf, 0, 0
    for value in history:
        if value > best:
            best, waited = value, 0
        else:
            waited += 1
        if waited == patience:
            waited, stalls = 0, stalls + 1
    return stalls
