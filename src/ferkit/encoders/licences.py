"""Every licence that using ferkit touches: its own, those of weights and training pictures, those of packages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata, requires

from ferkit.encoders.registry import load_registry

_UNSTATED = "not stated; ask its makers"
_BUNDLED_WITH_PACKAGES = (
    (
        "MTCNN (P-Net, R-Net, O-Net)",
        "weights",
        "MIT, as facenet-pytorch carries them; trained by Zhang et al. (arXiv:1604.02878) on WIDER FACE and CelebA, "
        "research data sets",
    ),
    ("portraits of `ferkit demo`", "data", "public domain (NASA in scikit-image, US Navy in matplotlib)"),
)
_CARRIED = {
    "opencv-python": "its wheels carry FFmpeg (LGPL-2.1) and, on Linux and macOS, Qt 5 (LGPL-3.0)",
    "torch": "its builds for NVIDIA cards need CUDA libraries under NVIDIA's own licence",
}
_TOO_LONG = 60


@dataclass(frozen=True)
class LicenceLine:
    """One licence.

    ``what`` is ``code``, ``weights`` or ``data``; ``licence`` is in words or SPDX names.
    """

    part: str
    what: str
    licence: str


def list_licences() -> list[LicenceLine]:
    """Return the licences of ferkit, its encoders, what comes inside other packages, and those packages.

    The packages' are what their installed versions state.

    Raises:
        InputError: models.yaml or a file of ``FERKIT_MODELS`` is not valid.
    """
    return [
        LicenceLine("ferkit", "code", _of_package(metadata("ferkit"))),
        *_of_encoders(),
        *(LicenceLine(*line) for line in _BUNDLED_WITH_PACKAGES),
        *_of_packages(),
    ]


def _of_encoders() -> Iterator[LicenceLine]:
    for entry in load_registry().values():
        licences = entry.licences
        yield LicenceLine(entry.name, "code", licences.code if licences else _UNSTATED)
        yield LicenceLine(entry.name, "weights", licences.weights if licences else _UNSTATED)
        yield LicenceLine(entry.name, "data", licences.data if licences else _UNSTATED)


def _of_packages() -> Iterator[LicenceLine]:
    """The packages that ferkit requires, and those of its extras that are installed."""
    requirements = [line for line in requires("ferkit") or () if "extra == 'dev'" not in line.replace('"', "'")]
    names = (match[0] for line in requirements if (match := re.match(r"[\w.-]+", line)) and match[0] != "ferkit")
    for name in sorted(set(names)):
        try:
            licence = _of_package(metadata(name))
        except PackageNotFoundError:
            continue  # of an extra that is not installed
        yield LicenceLine(name, "code", "; ".join(filter(None, (licence, _CARRIED.get(name)))))


def _of_package(about: PackageMetadata) -> str:
    """The licence that a package states: as SPDX, else as a classifier, else in its own words where they are few."""
    if "License-Expression" in about:
        return about["License-Expression"]
    classifiers = [line for line in about.get_all("Classifier") or () if line.startswith("License :: ")]
    if classifiers:
        return str(classifiers[0].rsplit(" :: ", 1)[-1])
    words = about["License"].strip() if "License" in about else ""
    return words if 0 < len(words) <= _TOO_LONG else _UNSTATED
