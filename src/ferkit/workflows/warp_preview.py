"""See what pre-training does to a face: positives, local warps of every kind, and the negatives made of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ferkit.errors import InputError
from ferkit.methods.contrawarping import WEAK_VIEWS
from ferkit.methods.views import ViewMaker, ViewSettings, as_pictures
from ferkit.methods.warps import KINDS, Kind, Placement, WarpSettings, draw_warps
from ferkit.ops.grids import sampling_grid
from ferkit.ops.pictures import sample_pictures
from ferkit.ops.warps import Warp
from ferkit.pipeline.face_options import DetectionKeywords, FaceOptions
from ferkit.pipeline.face_stream import open_pictures, source_paths
from ferkit.progress import Progress, Silent
from ferkit.report.safe_picture import require_replaceable, save_picture
from ferkit.report.swap_sheet import different_people, swap_sheet
from ferkit.report.warp_sheet import PictureRow, draw_sheet

_FRAMES, _FRAME_MS = 16, 70


@dataclass(frozen=True)
class WarpPreview:
    """Where the picture lies and what it shows."""

    path: Path
    positives: int
    warps: int
    faces: int
    swaps: int = 0


def warp_preview(
    images: str | Path | Sequence[str | Path],
    out: str | Path = "warp.png",
    *,
    face_swap: bool = False,
    columns: int = 6,
    seed: int = 0,
    views: ViewSettings | None = None,
    warps: WarpSettings | None = None,
    aligned: bool | None = None,
    progress: Progress | None = None,
    **options: Unpack[DetectionKeywords],
) -> WarpPreview:
    """Draw a face, its positives, its warps of every kind with arrows, and the negatives as training sees them.

    A name that ends in ``.gif`` gives an animation instead: one row a kind, warps growing from nothing and back.
    ``face_swap`` gives a table instead: everybody's expression on everybody's outer face.

    Args:
        images: a photo or a face crop; of several faces the leftmost is taken. For a face swap several of them, one
            with several faces, or a face set.
        out: PNG or GIF to write; nothing but an earlier drawing is replaced.
        face_swap: show what SSL-FER's face swap makes of two people or more.
        columns: pictures a row; people at most, in a table of swaps.
        seed: source of all randomness.
        views: global transforms; those of ContraWarping when None.
        warps: local warps; the defaults of pre-training when None. Their kind and placement concern the negatives,
            and the animation's placement; the rows of warps show all of them.
        progress: told what the image was taken for.
        aligned: whether it is a face crop already; None looks at it.
        options: how its face is found, as `ferkit.pipeline.face_options.FaceOptions` has it, such as ``min_face=40``.

    Raises:
        InputError: the image is missing, unreadable or shows no face, too few people or too many images; or ``out`` is
            neither a PNG nor a GIF.
        OutputError: the picture cannot be written, or would replace one that ferkit did not draw.
    """
    path = Path(out)
    if columns < 2:
        raise InputError(f"a preview needs at least 2 columns, not {columns}")
    if path.suffix.lower() not in (".png", ".gif"):
        raise InputError(
            f"a preview is a .png sheet or a .gif animation, not {path.name!r}; choose one of these with -o"
        )
    paths, face_options, progress = source_paths(images), FaceOptions(aligned, **options), progress or Silent()
    require_replaceable(path, paths)
    if face_swap:
        if path.suffix.lower() != ".png":
            raise InputError(f"face swaps are shown on a .png sheet, not in {path.name!r}; choose one with -o")
        people = different_people(paths, columns, seed, face_options, progress)
        save_picture(swap_sheet(people), path)
        return WarpPreview(path, 0, 0, len(people), swaps=len(people) * (len(people) - 1))
    if len(paths) != 1:
        raise InputError(f"warps are shown of one picture, not of {len(paths)}; name one, or add --face-swap")
    face = _open_face(paths[0], face_options, progress)
    views, warps = views or ViewSettings(**WEAK_VIEWS), warps or WarpSettings()
    generator = torch.Generator().manual_seed(seed)
    if path.suffix.lower() == ".gif":
        drawn = [_draw(face, columns, warps, generator, kind) for kind in KINDS]
        _write_gif(path, face, drawn)
        return WarpPreview(path, 0, columns * len(drawn), face.count)
    rows = _rows(face, columns, views, warps, generator)
    save_picture(draw_sheet(rows), path)
    return WarpPreview(path, columns - 1, columns * (len(rows) - 2), face.count)


@dataclass(frozen=True)
class _Face:
    """(128, 128, 3) crop, its (5, 2) landmarks where they were found, and how many faces the picture shows."""

    crop: NDArray[np.uint8]
    landmarks: Tensor | None
    count: int

    def times(self, count: int) -> Tensor:
        """(count, 128, 128, 3): the crop over and over."""
        return torch.from_numpy(self.crop).expand(count, -1, -1, -1)


def _open_face(image: Path, options: FaceOptions, progress: Progress) -> _Face:
    from ferkit.faces.align import landmarks_in_crops

    batch = next(open_pictures([image], options, "cpu", progress).batches())
    if batch.problems:
        raise InputError(
            f"cannot preview {str(image)!r}: {batch.problems[0].what}; give a picture of a face, or --aligned"
        )
    landmarks = None
    if (points := batch.faces[0].landmarks) is not None:
        landmarks = torch.from_numpy(landmarks_in_crops(np.array(points).reshape(1, 5, 2))[0]).float()
    return _Face(batch.crops[0], landmarks, len(batch.crops))


def _draw(
    face: _Face,
    count: int,
    warps: WarpSettings,
    generator: torch.Generator,
    kind: Kind | None = None,
    placement: Placement | None = None,
) -> Warp:
    """Draw warps of the face, of another kind or placement than the settings' where given."""
    update = {"kind": (kind,) if kind else warps.kind, "placement": placement or warps.placement}
    landmarks = None if face.landmarks is None else face.landmarks.expand(count, -1, -1)
    return draw_warps(count, warps.model_copy(update=update), generator, landmarks)


def _rows(
    face: _Face, columns: int, views: ViewSettings, warps: WarpSettings, generator: torch.Generator
) -> list[PictureRow]:
    make_view = ViewMaker(views)
    positives = as_pictures(make_view(face.times(columns - 1), generator), views)
    rows = [PictureRow("the face, and positives: global transforms keep the expression", [face.crop, *positives])]
    anchors = "the template's landmarks" if face.landmarks is None else "the face's landmarks"
    kinds: list[tuple[Kind, Placement, str]] = [
        ("bumps", "landmarks", f"bumps on {anchors}"),
        ("bumps", "uniform", "bumps anywhere"),
        ("tps", "landmarks", f"thin-plate splines on {anchors}"),
        ("tps", "uniform", "thin-plate splines anywhere"),
        ("field", "uniform", "smooth random fields"),
    ]
    for kind, placement, title in kinds:
        warp = _draw(face, columns, warps, generator, kind, placement)
        rows.append(PictureRow(title, list(_bend(face, warp)), warp))
    warp = _draw(face, columns, warps, generator)
    title = f"negatives: warps ({', '.join(warps.kind)}) behind global transforms of their own, as training sees them"
    return [*rows, PictureRow(title, list(as_pictures(make_view(face.times(columns), generator, warp), views)))]


def _bend(face: _Face, warp: Warp) -> NDArray[np.uint8]:
    """(B, 128, 128, 3): the crop behind each warp, as it is otherwise."""
    count, size = len(warp.displacement), len(face.crop)
    grid = warp.bend(sampling_grid(torch.eye(2, 3).expand(count, -1, -1), size))
    planes, _ = sample_pictures(face.times(count), grid, torch.zeros(count))
    return planes.movedim(1, -1).numpy()


def _write_gif(path: Path, face: _Face, warps: list[Warp]) -> None:
    """Write one row of tiles for each of the warps, at strengths that rise and fall like a cosine."""
    frames = []
    for number in range(_FRAMES):
        strength = (1 - math.cos(2 * math.pi * number / _FRAMES)) / 2
        rows = [np.hstack(list(_bend(face, warp.scaled(strength)))) for warp in warps]
        frames.append(Image.fromarray(np.vstack(rows)))
    # One palette for all frames, of the fullest one: with palettes of their own the colours would flicker.
    palette = frames[_FRAMES // 2].quantize(256)
    still, *moving = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    save_picture(still, path, save_all=True, append_images=moving, duration=_FRAME_MS, loop=0)
