"""Which encoder made a vector, as an embedding set keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferkit.errors import EncoderMismatchError


@dataclass(frozen=True, slots=True)
class EncoderStamp:
    """Which encoder made a vector; vectors of different stamps are never compared."""

    name: str  # as in models.yaml, or the run's
    sha256: str  # hex digest of the weight file
    dim: int  # length D of a vector
    crop: str  # name of the template that its faces are aligned to
    size: int  # height and width in pixels of the image that the network sees
    precision: str = "float32"  # in which its convolutions were computed: ``float32``, ``bfloat16`` (GPUs) or ``int8``
    calibration: str | None = None  # digest of the faces that fixed the steps of int8; None for the others
    # digest of how the weights are used (network, central square, gray, mean and deviation); None where an older
    # ferkit, which did not keep it, made the set
    contract: str | None = None


def read_stamp(told: Mapping[str, Any], folder: Path) -> EncoderStamp:
    """Return the stamp in a description that lies in ``folder``; raises as reading a damaged value does."""
    texts = {name: str(told[name]) for name in ("name", "sha256", "crop")}
    if texts["name"].startswith("./"):
        texts["name"] = str(folder / texts["name"])
    later = {name: told[name] for name in ("precision", "calibration", "contract") if name in told}
    return EncoderStamp(**texts, dim=int(told["dim"]), size=int(told["size"]), **later)


def require_same_encoder(a: EncoderStamp, b: EncoderStamp) -> None:
    """Refuse to compare vectors of two encoders.

    float32 and bfloat16 are the same but for noise; int8 is what its calibration makes of it. A stamp without a
    contract goes with any.

    Raises:
        EncoderMismatchError: the weights, their contract, the crop template, the input size or the dimension differ, or
            one is int8 and the other is not, or of another calibration.
    """
    other_contract = a.contract != b.contract and None not in (a.contract, b.contract)
    if other_contract or _identity(a) != _identity(b):
        raise EncoderMismatchError(
            f"vectors of {_called(a)} cannot be compared with those of {_called(b)}; "
            f"embed both with one encoder, for example `ferkit embed ... --encoder {a.name}`"
        )


def _identity(stamp: EncoderStamp) -> tuple[object, ...]:
    return stamp.sha256, stamp.dim, stamp.crop, stamp.size, stamp.precision == "int8", stamp.calibration


def _called(stamp: EncoderStamp) -> str:
    calibration = f" calibrated on {stamp.calibration}" if stamp.calibration else ""
    network = f"sha256 {stamp.sha256[:8]}, {stamp.precision}{calibration}"
    contract = f", contract {stamp.contract}" if stamp.contract else ""
    return f"{stamp.name!r} ({network}, {stamp.dim}-d, {stamp.size} px of {stamp.crop}{contract})"
