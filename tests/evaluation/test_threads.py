from threadpoolctl import threadpool_info

from ferkit.evaluation.threads import one_thread


def threads():
    return [pool["num_threads"] for pool in threadpool_info()]


def test_one_thread_inside_and_as_before_outside():
    before = threads()
    with one_thread():
        assert set(threads()) == {1}
    assert threads() == before
