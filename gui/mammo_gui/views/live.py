"""What is known of a job at this moment, as HTML: what goes on, how fast, how long it takes, what it holds."""

from collections.abc import Mapping

from mammo_gui.markup import Content, Markup, element, join
from mammo_gui.training import Screen
from mammo_train.jobs.store import Job
from mammo_train.memory import Memory
from mammo_train.progress_file import Step


def now_html(screen: Screen) -> Markup | None:
    """What is going on, and the figures of the last epoch."""
    found = screen.live
    if found is None:
        return None
    last = screen.epochs[-1] if screen.epochs else None
    rows: list[tuple[str, Content]] = []
    steps = [element("div", *_step(step)) for step in found.steps if step.what]
    if steps:
        rows.append(("Now", join(*steps)))
    if found.left:
        of_training = " of training" if found.phases else ""
        rows.append(("Time left", f"about {duration(found.left)}{of_training}"))
    if last is not None and last.images_per_s is not None:
        rows.append(("Speed", f"{last.images_per_s:.1f} images/s"))
    if last is not None and last.learning_rates:
        rows.append(("Learning rates", _rates_now(last.learning_rates)))
    if screen.shown is not None and screen.shown.record.cluster:
        rows.append(("Cluster", _cluster(screen.shown)))
    if found.device:
        rows.append(("Device", found.device))
    if found.memory is not None:
        rows.append(("Memory", memory_words(found.memory)))
    if not rows:
        return None
    return element("dl", *(join(element("dt", name), element("dd", value)) for name, value in rows), id="job-now")


def _cluster(job: Job) -> str:
    record = job.record
    return f"{record.cluster}, {record.workers} processes" if record.workers > 1 else record.cluster


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def memory_words(held: Memory) -> str:
    """What is held of what there is, of the machine and of the GPU; whose it is, where several train together."""
    most = "" if held.peak is None else f", at most {_gib(held.peak)}"
    parts = [f"{_gib(held.resident)} of {_gib(held.total)} GiB{most}"]
    if held.gpu is not None:
        gpu = held.gpu
        parts.append(f"GPU {_gib(gpu.used)} of {_gib(gpu.total)} GiB, at most {_gib(gpu.peak)} for its own tensors")
    if held.processes > 1:
        parts.append(f"of the first of {held.processes} processes")
    return "; ".join(parts)


def _gib(size: int) -> str:
    """Bytes as GiB, with a decimal where it is one that counts."""
    number = size / 2**30
    return f"{number:.1f}" if number < 10 else f"{number:.0f}"


def _rates_now(rates: Mapping[str, float]) -> str:
    if len(set(rates.values())) == 1:
        return f"{next(iter(rates.values())):.2g} in all layers that learn"
    return ", ".join(f"{group} {rate:.2g}" for group, rate in rates.items())


def _step(step: Step) -> list[Content]:
    """What is going on, with a bar where it is known how much there is."""
    if not step.total:
        return [step.what]
    bar = element("progress", value=f"{step.done:g}", max=f"{step.total:g}")
    return [f"{step.what}, {step.done:.0f} of {step.total:.0f}", bar]
