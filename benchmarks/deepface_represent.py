"""The seconds that deepface's `represent` takes for photos, for `bench_embedding.py`.

It runs under a Python of its own, since deepface brings TensorFlow: install deepface, tf-keras, tensorflow, mtcnn and
werkzeug into any environment, and name its interpreter in ``$DEEPFACE_PYTHON``. Photos are told on standard input, a
path a line; each empty line asks for a round over all of them, whose seconds and number of faces come back as a line.

Detection is deepface's backend mtcnn (the same networks, faces from 20 px), the encoder its Facenet. It is untrained
here: its weights are no part of the package, and any others take as long.
"""

from __future__ import annotations

import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

from deepface.commons import weight_utils

weight_utils.download_weights_if_necessary = lambda *_, **__: ""
weight_utils.load_model_weights = lambda model, **_: model


def represent(paths: list[str]) -> int:
    from deepface import DeepFace  # after the weights are settled

    faces = 0
    for path in paths:
        found = DeepFace.represent(path, model_name="Facenet", detector_backend="mtcnn", enforce_detection=False)
        faces += sum(face["face_confidence"] > 0 for face in found)
    return faces


def main() -> None:
    answers, sys.stdout = sys.stdout, sys.stderr  # what the libraries print is no answer
    lines = iter(sys.stdin.readline, "")
    paths = []
    for line in lines:
        if line.strip():
            paths.append(line.strip())
            continue
        start = time.perf_counter()
        faces = represent(paths)
        print(time.perf_counter() - start, faces, file=answers, flush=True)


if __name__ == "__main__":
    main()
