"""Simulators in processes of their own, so that judging waits for all cores and not for one."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from worldling.machine import end_with_parent

T = TypeVar("T")


def in_processes(
    function: Callable[..., T], jobs: Sequence[tuple[Any, ...]], workers: int = 2
) -> Iterator[tuple[int, T]]:
    """Yield (number of the job, what `function` returns of it) as jobs get done; those named first are begun first.

    function: of a module, so that processes can import it. A single job, or a single worker, stays in this process.
    Ctrl-C lets the processes finish the jobs they are at, and begins no others.
    """
    if min(workers, len(jobs)) < 2:
        for number, job in enumerate(jobs):
            yield number, function(*job)
        return
    context = multiprocessing.get_context("spawn")  # forking a process with open simulators is not safe
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _deaf)
    try:
        number_of = {pool.submit(function, *job): number for number, job in enumerate(jobs)}
        for future in as_completed(number_of):
            yield number_of[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C and lets us finish
    end_with_parent()
