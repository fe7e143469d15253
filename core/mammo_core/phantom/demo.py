"""The demo library: a few synthetic exams, made in seconds, for the first start of the app."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from mammo_core.phantom.anatomy import DENSITIES, Density
from mammo_core.phantom.exam import make_exam
from mammo_core.phantom.settings import PhantomSettings
from mammo_core.phantom.vendors import VENDORS
from mammo_core.phantom.write import write_exam

SEED = 20
HEIGHT = 1664


@dataclass(frozen=True)
class DemoExam:
    """One exam of the demo library."""

    index: int
    vendor: str
    density: Density
    cancer: bool
    prior: bool = False
    leave_out: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the exam's folder."""
        return f"demo-{self.index:02d}{'-prior' if self.prior else ''}"


# Picked so that there is something to see: a mass that grew, a cluster, benign findings, nothing at all.
DEMO_EXAMS = (
    DemoExam(8, "A", "B", cancer=True),
    DemoExam(8, "C", "B", cancer=True, prior=True),
    DemoExam(14, "B", "C", cancer=False),
    DemoExam(23, "C", "A", cancer=True),
    DemoExam(3, "D", "B", cancer=False),
    DemoExam(5, "E", "D", cancer=False),
    DemoExam(13, "A", "C", cancer=True, leave_out=("LMLO",)),
    DemoExam(2, "E", "A", cancer=False),
)


def demo_library(folder: Path, progress: Callable[[int, int], None] | None = None, *, threads: int = 2) -> list[Path]:
    """Write the demo exams into ``folder`` and return their folders; those that are there are kept.

    ``progress`` is called in the caller's thread with the number of exams done and their total.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / demo.name for demo in DEMO_EXAMS]
    missing = [demo for demo in DEMO_EXAMS if not (folder / demo.name / "truth.json").is_file()]
    done, total = len(DEMO_EXAMS) - len(missing), len(DEMO_EXAMS)
    if progress:
        progress(done, total)
    with ThreadPoolExecutor(threads) as pool:
        try:
            for finished in as_completed([pool.submit(_write, demo, folder / demo.name) for demo in missing]):
                finished.result()
                done += 1
                if progress:
                    progress(done, total)
        except BaseException:
            # Whoever ends the work in ``progress`` does not wait for the exams that nobody has begun.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return paths


def _write(demo: DemoExam, folder: Path) -> None:
    """Make one demo exam."""
    shares = tuple(float(density == demo.density) for density in DENSITIES)
    settings = PhantomSettings(
        height=HEIGHT, density_shares=(shares[0], shares[1], shares[2], shares[3]), marker_share=0.8
    )
    vendor = next(maker for maker in VENDORS if maker.letter == demo.vendor)
    exam = make_exam(settings, SEED, demo.index, prior=demo.prior, cancer=demo.cancer, vendor=vendor)
    write_exam(exam, folder, leave_out=demo.leave_out)
