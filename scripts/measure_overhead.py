"""Measure what an executor costs a job that does nothing: time for each job, its growth, and memory of this process.

python scripts/measure_overhead.py
"""

import resource
import time
from collections.abc import Iterator

from nrbench import Executor, Processes
from nrbench.families.executor import Serial
from nrbench_ray import Ray


def nothing(item: int) -> int:
    """Return the item."""
    return item


def seconds_per_job(executor: Executor, count: int) -> float:
    """Return the time for each of `count` jobs, the start of the executor left out."""
    outcomes: Iterator[object] = executor.map(nothing, range(count))
    next(iter(outcomes))
    start = time.perf_counter()
    left = sum(1 for _ in outcomes)
    return (time.perf_counter() - start) / left


def main() -> None:
    """Print a line for each executor and number of jobs."""
    print(f"{'executor':12}{'jobs':>8}{'ms per job':>12}{'memory MiB':>12}")
    plans: list[tuple[Executor, tuple[int, ...]]] = [
        (Serial(), (1000, 10_000)),
        (Processes(jobs=2), (1000, 10_000)),
        (Ray(jobs=2), (100, 1000)),
    ]
    for executor, counts in plans:
        for count in counts:
            took = 1000 * seconds_per_job(executor, count)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{executor.name:12}{count:8}{took:12.3f}{memory:12.0f}")


if __name__ == "__main__":
    main()
