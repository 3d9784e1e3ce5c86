"""Calls that `make lint` checks and nothing runs: a remark that mypy has nothing to ignore at is an error."""

import ferkit


def calls() -> None:
    ferkit.align("photos", "faces", fps=2, min_size=40)
    ferkit.align("photos", "faces", min_sizee=40)  # type: ignore[call-arg]
    ferkit.best("photos", "happiness", min_facee=40)  # type: ignore[call-arg]
    ferkit.embed("photos", fps="two")  # type: ignore[arg-type]
    ferkit.find_faces([], layout="ferplus")  # type: ignore[call-arg]
    ferkit.moments("clip.mp4", "happiness", prominense=0.1)  # type: ignore[call-arg]
    ferkit.pretrain("faces", workerz=2)  # type: ignore[call-arg]
    ferkit.probe("votes-r18", sedes=3)  # type: ignore[call-arg]
    ferkit.retrieve("query.jpg", kk=3)  # type: ignore[call-arg]
    ferkit.warp_preview("face.jpg", columns="six")  # type: ignore[arg-type]
