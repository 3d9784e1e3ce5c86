"""A face set whose writer is killed, really and at random moments, has the bytes of one that was left in peace.

Run as a script, this file is the process that writes, is killed and starts again: one process that forks, since twenty
starts of Python would take longer than all the writing.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ferkit.data.face_set import FaceSetWriter
from ferkit.data.faces import Face, crop_sha256, faces_to_table

KILLS, BATCHES, SIZE = 24, 30, 8


def write_set(path):
    """Write 43 faces in 30 batches of 0 to 3, going on where an earlier run stopped."""
    with FaceSetWriter(path, "ferkit-128", SIZE, fingerprint="job", shard=7) as writer:
        for number in range(writer.pictures_done, BATCHES):
            assert writer.state == (None if number == 0 else {"frame": number - 1})
            crops = np.random.default_rng(number).integers(0, 256, (number % 4, SIZE, SIZE, 3), dtype=np.uint8)
            faces = [
                Face(f"/p/{number}.jpg", face, None, None, None, None, None, None, 0.5, crop_sha256(crop), yaw=face / 7)
                for face, crop in enumerate(crops, 1)
            ]
            problems = [] if faces else [(f"/p/{number}.jpg", "no face")]
            writer.append(crops, faces, pictures_done=number + 1, problems=problems, state={"frame": number})


def started(path):
    child = os.fork()
    if child:
        return child
    write_set(path)
    os._exit(0)


def write_and_kill(folder, seed):
    """Write sets one after the other, each from kill to kill, until there were enough kills; yield what was left."""
    begin = time.monotonic()
    assert os.waitpid(started(folder / "unbroken"), 0)[1] == 0
    longest = (time.monotonic() - begin) / 2
    moments, kills, sets = random.Random(seed), 0, 0
    while kills < KILLS or sets == 0:
        path = folder / f"killed-{sets}"
        while not path.exists():
            child = started(path)
            if kills < KILLS:
                time.sleep(moments.uniform(0, longest))
                os.kill(child, signal.SIGKILL)
            status = os.waitpid(child, 0)[1]
            assert status in (0, signal.SIGKILL)
            if status == signal.SIGKILL:
                kills += 1
                yield journal_lines(path)
        sets += 1


def journal_lines(path):
    """How many whole entries the killed process left; -1 for a set that is complete, or not begun."""
    journal = path.with_name(f"{path.name}.partial") / "journal.jsonl"
    return journal.read_bytes().count(b"\n") - 1 if journal.exists() else -1


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_writer_killed_at_random_moments_leaves_the_same_bytes(tmp_path):
    done = subprocess.run([sys.executable, __file__, tmp_path], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    left = json.loads(done.stdout)
    assert len(left) >= KILLS
    assert len(set(left)) > 2  # the kills met the writer at different stages
    unbroken = contents(tmp_path / "unbroken")
    killed = sorted(tmp_path.glob("killed-*"))
    assert killed
    assert all(contents(folder) == unbroken for folder in killed)


if __name__ == "__main__":
    faces_to_table([Face("/p", 1, None, None, None, None, None, None, None, "0")])  # imports more than all else takes
    sys.stdout.write(json.dumps(list(write_and_kill(Path(sys.argv[1]), seed=0))))
