"""What Apple's GPUs lack: float64, and in grid_sample any padding but zeros (before torch 2.13)."""

import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch
from PIL import Image

import ferkit.ops
from ferkit.encoders.encoder import load_encoder, random_encoder
from ferkit.faces.detect import FaceDetector

ON_THE_CPU = {"class_emphasis", "is_one_image", "rgb_arrays"}
"""What is asked of arrays and of tensors on the CPU alone."""

FLAGS, ONES, ROWS = torch.tensor([True, False] * 2), torch.ones(4), torch.arange(4)
VECTORS, PICTURES, POINTS = torch.rand(4, 8), torch.rand(4, 3, 32, 32), torch.rand(4, 5, 2)
LEVELS, GRID = torch.zeros(4, 32, 32, 3, dtype=torch.uint8), torch.rand(4, 16, 16, 2)
BOXES = torch.tensor([[-0.5, -0.5, 0.5, 0.5]]).repeat(4, 1)
ARGUMENTS = {
    "blur": {"images": PICTURES, "sigma": ONES},
    "boxes": {
        "a": BOXES,
        "b": BOXES,
        "boxes": BOXES,
        "scores": ONES,
        "group": ROWS,
        "threshold": 0.5,
        "offsets": BOXES,
    },
    "colour": {
        **dict.fromkeys(("brightness", "contrast", "saturation", "hue"), ONES),
        **{"gray": FLAGS, "images": PICTURES, "matrix": torch.rand(4, 3, 3), "offset": torch.rand(4, 3)},
    },
    "cutmix": {
        **{"share": ONES / 2, "centers": torch.zeros(4, 2), "boxes": BOXES, "weights": torch.ones(32, 32)},
        **{"faces": LEVELS, "others": LEVELS, "height": 32, "width": 32},
        **{"a": VECTORS, "b": VECTORS, "partner": ROWS.roll(1), "temperature": 0.1},
    },
    "displacements": {
        **{"points": POINTS, "centers": POINTS, "shifts": POINTS, "radii": torch.ones(4, 5)},
        **{"noise": torch.rand(4, 2, 8, 8), "side": 16, "extent": 2.5, "sigma": ONES},
    },
    "distributed": {"x": VECTORS},
    "face_swap": {
        **{"points": POINTS[0], "size": 32, "margin": 0.1, "feather": 0.1, "person": ROWS, "drawn": ONES / 2},
        **{"inner": LEVELS, "outer": LEVELS, "mask": torch.ones(32, 32), "chosen": FLAGS},
    },
    "flows": {"images": PICTURES, "flow": torch.rand(4, 2, 16, 16), "largest": 1.0},
    "grids": {
        **{"scale": ONES, "aspect": ONES, "angle": ONES, "shift": torch.zeros(4, 2), "flip": FLAGS},
        **{"matrices": torch.rand(4, 2, 3), "size": 16, "images": PICTURES, "grid": GRID},
    },
    "image_losses": {"a": PICTURES, "b": PICTURES, "features": PICTURES, "images": PICTURES, "margin": 0.1},
    "losses": {
        **dict.fromkeys(("a", "b", "x", "query", "key", "queue", "anchors", "vectors", "projections"), VECTORS),
        **dict.fromkeys(("prediction", "predicted", "true", "target", "mean", "log_variance", "logits"), VECTORS),
        **{"shares": VECTORS, "label": ROWS % 2, "weights": ONES, "temperature": 0.1, "beta": 0.5},
    },
    "masked_contrast": {
        **{"points": POINTS, "margin": 0.1, "faces": PICTURES, "boxes": BOXES[:, None], "size": 8, "temperature": 0.1},
        **{"patches": torch.rand(4, 2, 3, 8, 8), "descriptors": VECTORS, "group": ROWS, "valid": FLAGS},
        **{"a": VECTORS, "b": VECTORS, "false_negative": torch.full((8,), -1)},
    },
    "pictures": {"pictures": LEVELS, "grid": GRID, "sigma": ONES},
    "tps": {"points": POINTS, "centers": POINTS, "values": POINTS},
    "warp_losses": {
        **dict.fromkeys(("prediction", "positive", "anchor", "a", "b"), VECTORS),
        **{name: torch.rand(2, 4, 8) for name in ("negatives", "warps", "warped")},
        **{"margin": 0.1, "temperature": 0.1, "threshold": 0.1},
    },
    "warps": {"device": torch.device("cpu"), "displacement": torch.rand(4, 2, 41, 41)},
}


def functions():
    """Every public function of `ferkit.ops` that takes or gives tensors."""
    for module in pkgutil.iter_modules(ferkit.ops.__path__):
        for name, function in vars(importlib.import_module(f"ferkit.ops.{module.name}")).items():
            own = inspect.isfunction(function) and function.__module__ == f"ferkit.ops.{module.name}"
            if (
                own
                and not name.startswith("_")
                and name not in ON_THE_CPU
                and "Tensor" in str(inspect.signature(function))
            ):
                yield pytest.param(module.name, function, id=f"{module.name}.{name}")


@pytest.mark.parametrize(("module", "function"), list(functions()))
def test_an_operation_asks_for_nothing_that_an_accelerator_may_lack(module, function, accelerator):
    needed = [each.name for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    given = {name: ARGUMENTS[module][name] for name in needed}
    with accelerator() as device:
        function(**given)
    assert device.refused == set()


def test_the_stand_in_refuses_what_is_lacking(accelerator):
    with accelerator() as device:
        torch.nn.functional.grid_sample(PICTURES, GRID, padding_mode="reflection", align_corners=False)
        ONES.double()
    assert len(device.refused) == 2


@pytest.mark.parametrize("name", ["contrawarping-r18", "votes-r18", "mobilenetv3_small_100", "vit_tiny_patch16_224"])
def test_an_encoder_asks_for_nothing_that_an_accelerator_may_lack(name, accelerator):
    encoder = load_encoder(name, "cpu") if name.endswith("-r18") else random_encoder(name, 32)
    with accelerator() as device:
        encoder.embed(np.zeros((2, 128, 128, 3), np.uint8))
    assert device.refused == set()


def test_the_detector_asks_for_nothing_that_an_accelerator_may_lack(portraits, accelerator):
    photo = np.asarray(Image.open(portraits["hopper"]).convert("RGB").resize((200, 250)))
    detector = FaceDetector("cpu", min_face=60)
    with accelerator() as device:
        [found] = detector.find([photo])
        detector.follow([photo], [found.boxes])
        detector.detect_turned(photo)
    assert len(found.boxes) == 1
    assert device.refused == set()
