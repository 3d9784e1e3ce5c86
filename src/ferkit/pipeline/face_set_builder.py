"""Keep the faces of sources as a face set; a run that was stopped goes on where it was."""

from collections.abc import Sequence
from pathlib import Path

from ferkit.data.face_set import FaceSetWriter, is_face_set
from ferkit.errors import InputError
from ferkit.faces.template import CROP_SIZE, CROP_SIZES, TEMPLATE_NAME
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import FaceStream, followed, open_pictures, require_faces
from ferkit.progress import Progress


def build_face_set(
    sources: Sequence[Path],
    out: Path | str,
    options: FaceOptions,
    device: str | None,
    progress: Progress,
    *,
    crop_size: int = CROP_SIZE,
    overwrite: bool = False,
) -> FaceSetWriter:
    """Find the faces of all sources and write them as a face set, which appears whole at the end.

    Args:
        sources: what the user named; no face sets.
        out: folder of the face set.
        options: how sources are read and which of their faces are taken.
        device: where the detector runs; None takes the best one present.
        progress: told of every batch.
        crop_size: side of the crops in pixels, one of CROP_SIZES.
        overwrite: replace a face set that is there, once the new one is complete.

    Returns:
        The closed writer, which knows how many faces and pictures there were, and which gave none.

    Raises:
        FerkitError: as `ferkit.align`.
    """
    if crop_size not in CROP_SIZES:
        raise InputError(f"crops of {crop_size} px are not made; take {', '.join(map(str, CROP_SIZES))}")
    for path in sources:
        if is_face_set(path):
            raise InputError(
                f"{str(path)!r} is a face set already; `ferkit embed` and `ferkit pretrain` take it as it is"
            )
    stream = open_pictures(sources, options, device, progress, crop_size)
    writer = FaceSetWriter(out, TEMPLATE_NAME, crop_size, fingerprint=stream.fingerprint, overwrite=overwrite)
    with writer:
        if writer.complete:
            progress.say(f"{out} is complete already")
        else:
            _append_all(stream, writer, progress)
            require_faces(len(writer), writer.problems, sources)
    return writer


def _append_all(stream: FaceStream, writer: FaceSetWriter, progress: Progress) -> None:
    done = writer.pictures_done
    for batch in followed("aligning", stream, done, writer.state, len(writer), progress):
        done += batch.pictures
        writer.append(batch.crops, batch.faces, pictures_done=done, problems=batch.problems, state=batch.state)
