import threading

import pytest
import torch

from ferkit.faces.parallel import map_in_threads


def threads_seen(item):
    return item, threading.get_ident(), torch.get_num_threads()


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_workers_run_at_the_same_time_on_one_thread_each(three_threads):
    both_here = threading.Barrier(2, timeout=20)

    def meet(item):
        both_here.wait()  # breaks when one worker has to wait for the other to end
        return threads_seen(item)

    seen = map_in_threads(meet, [0, 1], workers=2)
    assert threading.get_ident() not in {thread for _, thread, _ in seen}
    assert {threads for *_, threads in seen} == {1}
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("items", "workers"), [([7], 4), ([7, 8], 1)])
def test_alone_the_caller_works_with_all_its_threads(three_threads, items, workers):
    assert map_in_threads(threads_seen, items, workers) == [(item, threading.get_ident(), 3) for item in items]


def test_a_failure_reaches_the_caller_and_the_threads_come_back(three_threads):
    def fail(item):
        raise ValueError(item)

    with pytest.raises(ValueError, match="5"):
        map_in_threads(fail, [5, 5], workers=2)
    assert torch.get_num_threads() == 3
