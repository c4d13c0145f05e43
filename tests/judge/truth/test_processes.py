"""Jobs in processes: all of them, told apart by their number, however many processes there are."""

from __future__ import annotations

import os

import pytest

from worldling.judge.truth.processes import in_processes


@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_is_done_once_and_named_by_its_number(workers):
    found = dict(in_processes(divmod, [(7, 2), (9, 4), (5, 5)], workers))
    assert found == {0: (3, 1), 1: (2, 1), 2: (1, 0)}


def test_a_single_job_stays_in_this_process_and_several_do_not():
    assert dict(in_processes(os.getpid, [()])) == {0: os.getpid()}
    assert os.getpid() not in dict(in_processes(os.getpid, [(), ()])).values()


def test_an_error_in_a_process_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        list(in_processes(divmod, [(1, 0), (1, 1)]))
