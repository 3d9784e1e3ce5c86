"""The encoder itself: aligned crops in, vectors out, with the input contract kept in one place."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ferkit.atomic import atomic_path
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.backbones import build_backbone, empty_backbone, feature_dim, require_room_for_weights, timm_state
from ferkit.encoders.expression_head import ExpressionHead
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.registry import (
    CROP,
    CROP_SIDE,
    CROP_SIDES,
    ENTRY_NAME,
    PREFIX,
    EncoderCard,
    EncoderEntry,
    WeightsFile,
    entry_to_yaml,
    field_of,
    load_registry,
    read_entry,
    registered_weights,
    require_encoder,
)
from ferkit.encoders.weights import check_format, load_weights, misfits, save_weights, serialize
from ferkit.errors import InputError, WeightsError
from ferkit.ops.colour import LUMA
from ferkit.ops.device import pick_device
from ferkit.ops.rgb import AnyImages, rgb_arrays
from ferkit.progress import Progress

WEIGHTS_NAME = "encoder.safetensors"

Crops = NDArray[np.uint8] | Tensor


class Encoder(nn.Module):
    """A backbone with its input contract; gives L2-normalised vectors, in which a dot product is the cosine.

    Args:
        entry: what it is and which images it expects.
        backbone: maps (B, 3, S, S) to (B, D).
        center: (D,) mean of the features over many faces, taken off before normalising; None for zeros.
        projection: (D, E) map of the centred features to vectors of ``entry.dim`` E, such as one that gives more weight
            to what tells expressions apart; None leaves them as they are, and E is D.
        sha256: of the weights file; says which vectors may be compared.
        head: reads classes of expressions off its vectors; None where it has none.

    Attributes:
        name: the registry's or the run's.
        dim: length of a vector.
        width: number of raw features, of which a projection may make fewer.
        crop: name of the template that its crops are aligned to.
        size: side in pixels of the images that the network is given.

    It stands in evaluation mode: batch norms use their running statistics. Threads may share it.
    """

    center: Tensor
    projection: Tensor | None
    mean: Tensor
    std: Tensor
    luma: Tensor

    def __init__(
        self,
        entry: EncoderCard,
        backbone: nn.Module,
        *,
        center: Tensor | None = None,
        projection: Tensor | None = None,
        sha256: str = "",
        head: ExpressionHead | None = None,
    ) -> None:
        super().__init__()
        self.entry = entry
        self.sha256 = sha256
        self.head = head
        self.backbone = backbone
        self.name, self.dim, self.crop, self.size = entry.name, entry.dim, entry.crop, entry.input_size
        self.width = entry.dim if projection is None else len(projection)
        self.register_buffer("center", torch.zeros(self.width) if center is None else center.detach().float())
        self.register_buffer("projection", None if projection is None else projection.detach().float())
        self.register_buffer("mean", torch.tensor(entry.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(entry.std).view(3, 1, 1), persistent=False)
        self.register_buffer("luma", torch.tensor(LUMA).view(3, 1, 1), persistent=False)
        self.eval()

    def require_head(self) -> ExpressionHead:
        """Return the head; `WeightsError` where the encoder has none."""
        return require_head(self.head, self.name)

    def forward(self, images: Tensor) -> Tensor:
        """Return the (B, D) features of (B, 3, S, S) images from `prepare`, neither centred nor normalised."""
        features: Tensor = self.backbone(images)
        return (features + self.backbone(images.flip(3))) / 2 if self.entry.flip else features

    def prepare(self, crops: Crops) -> Tensor:
        """Cut the centre square out of the crops and bring it to the network's size and colours.

        Args:
            crops: (B, H, W, 3) uint8 RGB, aligned to the entry's template, H and W at least ``entry.field``. Of squares
                of more than 128 px, the same part of the face is cut.

        Returns:
            (B, 3, S, S) float32 on the encoder's device: (RGB / 255 - mean) / std, where the entry says so of the
            luminance in place of R, G and B.
        """
        field, size = field_of(self.entry.field, crops.shape[1]), self.entry.input_size
        top, left = ((side - field) // 2 for side in crops.shape[1:3])
        square = crops[:, top : top + field, left : left + field]
        # The copy makes a read-only memory map writable, without which torch warns.
        pixels = square if isinstance(square, Tensor) else torch.from_numpy(np.array(square))
        images = pixels.to(self.center.device).permute(0, 3, 1, 2).float() / 255
        if self.entry.gray:
            images = (images * self.luma).sum(1, keepdim=True).expand(-1, 3, -1, -1)
        if field != size:
            images = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True)
        return ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def features(self, faces: AnyImages, *, batch_size: int = 64) -> NDArray[np.float32]:
        """Return the raw features of face crops: neither centred nor normalised.

        Args:
            faces: faces of `ferkit.find_faces`; or aligned crops as images, at most 128 px a side: (N, H, W, 3) uint8
                RGB, of which memory-mapped arrays are read batch by batch, or what `ferkit.ops.rgb` takes.
            batch_size: crops per pass through the network, at least 1.

        Returns:
            (N, D) float32.

        Raises:
            InputError: they are no crops: of another shape or type, smaller than the encoder's field, or whole photos.
        """
        return self._run(self._features, _crops(faces), batch_size, self.width)

    def embed(self, faces: AnyImages, *, batch_size: int = 64) -> NDArray[np.float32]:
        """Return the vectors of face crops: centred, projected features of length 1.

        Arguments and errors as in `features`. Rows have the Euclidean norm 1; a feature that equals the centre
        gives zeros, never NaN.

        Returns:
            (N, E) float32.
        """
        return self._run(lambda batch: self.vectors(self._features(batch)), _crops(faces), batch_size, self.dim)

    def vectors(self, features: Tensor) -> Tensor:
        """Centre, project and normalise (N, D) float32 features from `forward`, as `embed` does."""
        centred = features - self.center
        return F.normalize(centred if self.projection is None else centred @ self.projection, dim=1)

    def _features(self, crops: Crops) -> Tensor:
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=self.center.is_cuda):
            return self.forward(self.prepare(crops)).float()

    @torch.inference_mode()
    def _run(
        self, compute: Callable[[Crops], Tensor], crops: Crops, batch_size: int, width: int
    ) -> NDArray[np.float32]:
        self.check(crops, batch_size)
        rows = np.empty((len(crops), width), dtype=np.float32)
        for start in range(0, len(crops), batch_size):
            batch = slice(start, start + batch_size)
            rows[batch] = compute(crops[batch]).cpu().numpy()
        return rows

    def check(self, crops: Crops, batch_size: int) -> None:
        """Refuse what `embed` and `features` cannot take.

        Raises:
            InputError: as `features`.
        """
        if batch_size < 1:
            raise InputError(f"the batch size is {batch_size}; give 1 or more")
        if crops.dtype not in (np.uint8, torch.uint8) or crops.ndim != 4 or crops.shape[3] != 3:
            raise InputError(f"crops must be (N, H, W, 3) uint8 RGB, not {tuple(crops.shape)} {crops.dtype}")
        if min(crops.shape[1:3]) < self.entry.field:
            raise InputError(
                f"crops of {crops.shape[1]}×{crops.shape[2]} px are smaller than the {self.entry.field} px that "
                f"{self.name!r} looks at; align the faces to {self.crop!r} first"
            )
        if max(crops.shape[1:3]) > CROP_SIDE and not crops.shape[1] == crops.shape[2] in CROP_SIDES:
            raise InputError(
                f"images of {crops.shape[2]}×{crops.shape[1]} px are no aligned crops of {CROP_SIDE} px; "
                "embed the faces of `ferkit.find_faces(images)`"
            )


def load_encoder(
    name_or_path: str | Path = DEFAULT_ENCODER, device: str | None = None, progress: Progress | None = None
) -> Encoder:
    """Load an encoder, after checking that its weights are the ones that its entry names.

    Args:
        name_or_path: a name of models.yaml (wins over a folder of the same name), a run folder, a ``.safetensors``
            file with its entry beside it (``x.yaml`` for ``x.safetensors``), or ``hf-hub:user/name[@revision]``.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None for the best one present.
        progress: told how far weights are that must be fetched from the hub first.

    Raises:
        UnknownEncoderError: no such name; says the nearest ones.
        MissingPathError: what looks like a path does not exist.
        WeightsError: weights or head missing, damaged, of another hash or another network.
        HubError: they are on the hub, not in its cache, and cannot be fetched.
        InputError: an entry is not valid or of another template, or the device is not there.
    """
    place = pick_device(device)
    entry, path = locate_encoder(name_or_path, progress)
    if entry.crop != CROP:
        raise InputError(f"{entry.name!r} needs crops of {entry.crop!r}, and ferkit makes those of {CROP!r} alone")
    if entry.sha256 is None:
        raise WeightsError(f"the entry of {str(path)!r} lacks its sha256, so it cannot be checked; add it")
    state = load_weights(path, entry.sha256)
    if entry.weights.kind != "bundled":
        require_room_for_weights(entry.arch, entry.input_size, path)
    if not any(name.startswith("backbone.") for name in state):  # timm's own
        state = {f"backbone.{name}": tensor for name, tensor in timm_state(state, entry.arch, entry.input_size).items()}
    network = empty_backbone(entry.arch, entry.input_size)
    width = feature_dim(network)
    if "projection" not in state and width != entry.dim:
        raise WeightsError(
            f"{entry.arch!r} gives vectors of {width}, and the entry of {str(path)!r} says {entry.dim}; correct it"
        )
    projection = torch.empty(width, entry.dim) if "projection" in state else None
    encoder = Encoder(entry, network, projection=projection, sha256=entry.sha256, head=_head(entry, path, progress))
    state.setdefault("center", encoder.center)
    if wrong := misfits(encoder, state):
        name, expected, actual = wrong[0]
        raise WeightsError(
            f"{str(path)!r} does not fit {entry.arch!r}: {name!r} should be {expected} and is {actual} "
            f"({len(wrong)} such); correct the entry beside it"
        )
    encoder.load_state_dict(state, assign=True)
    return encoder.to(place).to(memory_format=torch.channels_last)


def load_head(
    encoder: str | Path = DEFAULT_ENCODER, head: str | Path | None = None, progress: Progress | None = None
) -> ExpressionHead:
    """Load what reads expressions off an encoder's vectors, without its network.

    Args:
        encoder: as `load_encoder`.
        head: a file of `ferkit probe … --save-head`; None takes the encoder's own.
        progress: told how far weights are that must be fetched from the hub first.

    Raises:
        WeightsError: the encoder has none, or it is missing, damaged or of another encoder.
        FerkitError: as `load_encoder`.
    """
    if head is not None:
        entry, _ = locate_encoder(encoder, progress)
        return ExpressionHead.load(Path(head), encoder=str(entry.sha256), name=str(encoder))
    return require_head(find_head(encoder, progress), str(encoder))


def find_head(encoder: str | Path, progress: Progress | None = None) -> ExpressionHead | None:
    """Do as `load_head` for an encoder's own head; None where it has none."""
    return _head(*locate_encoder(encoder, progress), progress)


def save_encoder(
    folder: Path,
    backbone: Mapping[str, Tensor],
    card: EncoderCard,
    *,
    center: Tensor | None = None,
    projection: Tensor | None = None,
    half: bool = True,
) -> EncoderEntry:
    """Write ``encoder.safetensors`` and then ``encoder.yaml``; `load_encoder` takes the folder.

    Args:
        folder: an existing folder.
        backbone: the state of a network of `build_backbone`.
        card: what the encoder is and which images it expects.
        center: (D,) mean feature that is taken off before normalising; None for zeros.
        projection: (D, E) map of the centred features, see `Encoder`; None for none.
        half: store kernels as float16.

    Returns:
        The entry as written, with the weights' hash and size.

    Raises:
        WeightsError: weights hold NaN or infinity.
        OutputError: a file cannot be written.
    """
    state = {f"backbone.{name}": tensor for name, tensor in backbone.items()}
    state["center"] = torch.zeros(card.dim) if center is None else center.float()
    if projection is not None:
        state["projection"] = projection.float()
        card = card.model_copy(update={"dim": projection.shape[1]})
    path = folder / WEIGHTS_NAME
    sha256 = save_weights(state, path, half=half)
    weights = WeightsFile(kind="file", file=WEIGHTS_NAME)
    entry = EncoderEntry(**dict(card), weights=weights, sha256=sha256, bytes=path.stat().st_size)
    with atomic_path(folder / ENTRY_NAME) as temporary:
        temporary.write_text(entry_to_yaml(entry), encoding="utf-8")
    return entry


def random_encoder(arch: str = "resnet18", input_size: int = 112, seed: int = 0) -> Encoder:
    """Build an encoder with random weights, the floor that every trained one is measured against.

    Equal arguments give equal weights, whatever was drawn before; the global generator is left as it was.

    Raises:
        UnknownBackboneError: timm has no such network.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = build_backbone(arch, input_size)
    card = EncoderCard(
        name=f"random-{arch}", arch=arch, dim=feature_dim(backbone), input_size=input_size, supervision="none"
    )
    encoder = Encoder(card, backbone)
    encoder.sha256 = sha256_of(serialize(encoder.state_dict()))
    return encoder


def locate_encoder(name_or_path: str | Path, progress: Progress | None = None) -> tuple[EncoderEntry, Path]:
    """Return an encoder's entry, its hash and size known, and where its weights lie, fetching them if need be.

    Arguments and errors as in `load_encoder`.
    """
    name = str(name_or_path)
    entry = load_registry().get(name)
    if entry is not None and entry.weights.kind != "hub":
        return entry, registered_weights(entry)
    if entry is not None or name.startswith(PREFIX):
        from ferkit.encoders.hub import parse_repo  # the hub's client loads only where it is needed
        from ferkit.encoders.hub_repo import fetch_encoder, fetch_entry

        entry, file = fetch_entry(entry, progress) if entry else fetch_encoder(parse_repo(name), progress)
        return entry, file.path
    require_encoder(name_or_path)
    path = Path(name_or_path)
    return _entry_beside(path / WEIGHTS_NAME if path.is_dir() else path)


def _crops(faces: AnyImages) -> Crops:
    """The crops of faces or images as one array; arrays of crops stay as they are."""
    if isinstance(faces, np.ndarray | Tensor) and faces.ndim == 4 and faces.shape[3] == 3:
        return faces  # type: ignore[return-value]  # `check` looks at the type
    crops = rgb_arrays(faces)
    if len({crop.shape for crop in crops}) > 1:
        raise InputError("images of several sizes are no aligned crops; embed the faces of `ferkit.find_faces(images)`")
    return np.stack(crops) if crops else np.empty((0, CROP_SIDE, CROP_SIDE, 3), np.uint8)


def _entry_beside(weights: Path) -> tuple[EncoderEntry, Path]:
    """Return the entry that lies beside a weights file, which stays the file to load."""
    check_format(weights)
    yaml = weights.with_suffix(".yaml")
    if not yaml.is_file():
        raise WeightsError(
            f"there is no {str(yaml)!r}, which says what network the weights belong to; "
            "give the folder of a run of `ferkit pretrain` that has ended"
        )
    entry = read_entry(yaml)
    if entry.weights.kind != "file":
        raise WeightsError(
            f"{str(yaml)!r} is the entry of weights of the kind {entry.weights.kind!r}; of those beside it, it says "
            f"'kind: file', 'file: {weights.name}', and their sha256 and bytes"
        )
    return entry, weights


def _head(entry: EncoderEntry, path: Path, progress: Progress | None) -> ExpressionHead | None:
    if entry.head is None:
        return None
    file = path.with_name(entry.head.file)
    if entry.weights.kind == "hub":
        from ferkit.encoders.hub import HubRepo, fetch

        repo = HubRepo(entry.weights.repo or "", entry.weights.revision or "")
        file = fetch(repo, entry.head.file, sha256=entry.head.sha256, progress=progress).path
    return ExpressionHead.load(file, entry.head.sha256, encoder=str(entry.sha256), name=entry.name)


def require_head(head: ExpressionHead | None, name: str) -> ExpressionHead:
    """Return the head of the encoder ``name``; a `WeightsError` says what to do where it has none."""
    if head is not None:
        return head
    raise WeightsError(
        f"{name!r} has no expression head, so its vectors have no classes; give --head HEAD of "
        f"`ferkit probe {name} --save-head HEAD`, or for a class to search by --prototypes SET"
    )
