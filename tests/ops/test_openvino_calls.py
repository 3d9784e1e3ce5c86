import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from ferkit.ops.openvino_calls import openvino_calls

FIRST_CALLS_AT_ONCE = """
import sys, threading
import numpy as np, openvino
from openvino import opset13 as op
from ferkit.ops.openvino_calls import openvino_calls

given = op.parameter([-1, 4], openvino.Type.u8)
double = openvino_calls(openvino.Model([op.multiply(op.convert(given, "f32"), np.float32(2))], [given]), 8)
together = threading.Barrier(8)

def call(number):
    together.wait()
    assert (double(np.full((3, 4), number, np.uint8)) == 2 * number).all()

sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print("done")
"""


def test_first_calls_of_several_threads_do_not_wait_for_each_other():
    pytest.importorskip("openvino")
    for _ in range(3):  # without care, two in three hang
        told = subprocess.run(
            [sys.executable, "-c", FIRST_CALLS_AT_ONCE], capture_output=True, text=True, timeout=60, check=True
        )
        assert told.stdout == "done\n"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux tells the cores of a thread")
def test_threads_may_run_on_every_core():
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as op

    given = op.parameter([-1, 512], openvino.Type.u8)
    product = op.convert(given, "f32")
    for _ in range(8):
        product = op.matmul(product, np.ones((512, 512), np.float32), False, False)
    compute, found = openvino_calls(openvino.Model([product], [given]), 1), set()
    thread = threading.Thread(target=lambda: [compute(np.ones((1024, 512), np.uint8)) for _ in range(20)])
    thread.start()
    while thread.is_alive():
        with suppress(ProcessLookupError):
            found |= {frozenset(os.sched_getaffinity(int(task.name))) for task in Path("/proc/self/task").iterdir()}
    assert found == {frozenset(os.sched_getaffinity(0))}
