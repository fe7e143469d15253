"""How fast phantom exams are made: exams per second, drawing alone and with files, on one and on all cores.

Run: python benchmarks/phantom.py [--height 1024] [--studies 12]
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import cv2

from mammo_core.phantom import PhantomSettings, demo_library, make_exam
from mammo_train.phantom_set import Form, write_set


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=1024)
    parser.add_argument("--studies", type=int, default=12)
    options = parser.parse_args()
    settings = PhantomSettings(height=options.height)
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before"
    print(f"height {options.height} px, {options.studies} four-view exams, {machine}")

    cv2.setNumThreads(1)
    wall, cpu = [], []
    for index in range(options.studies):
        start, used = time.perf_counter(), time.process_time()
        make_exam(settings, 1, index)
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    print(f"drawn in memory, one core:   {1 / statistics.median(wall):5.2f} exams/s by the clock (median)")
    print(f"                             {1 / statistics.median(cpu):5.2f} exams/s of processor time (median)")

    forms: tuple[Form, ...] = ("prepared", "exams")
    for form in forms:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            write_set(settings, Path(folder) / "set", studies=options.studies, seed=1, form=form)
            rate = options.studies / (time.perf_counter() - start)
        print(f"written as {form:9s} all cores: {rate:5.2f} exams/s (start of the processes included)")

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        demo_library(Path(folder))
        print(f"demo library:                {time.perf_counter() - start:5.1f} s")


if __name__ == "__main__":
    main()
