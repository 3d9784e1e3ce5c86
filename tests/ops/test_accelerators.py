"""What Apple's GPUs lack: float64, and in grid_sample any padding but zeros (before torch 2.13)."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.encoder import load_encoder
from ferkit.faces.detect import FaceDetector
from ferkit.ops.grids import affine_matrices, sample, sampling_grid
from ferkit.ops.tps import thin_plate_spline


class Lacking(TorchDispatchMode):
    """Notes every operation that such a device would refuse."""

    def __init__(self):
        super().__init__()
        self.refused = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if any(tensor.dtype == torch.float64 for tensor in tensors):
            self.refused.add(f"float64 of {function}")
        if "grid_sampler_2d" in str(function) and args[3] != 0:
            self.refused.add(f"padding {args[3]} of {function}")
        return result


def sampled():
    half = torch.full((4,), 0.7)
    matrices = affine_matrices(half, half, half, torch.zeros(4, 2), torch.zeros(4, dtype=torch.bool))
    sample(torch.rand(4, 3, 32, 32), sampling_grid(matrices, 16))


def bent():
    thin_plate_spline(torch.rand(1, 8, 8, 2), torch.rand(4, 7, 2), torch.rand(4, 7, 2), 1e-3)


def embedded():
    load_encoder(DEFAULT_ENCODER, "cpu").embed(np.zeros((2, 128, 128, 3), np.uint8))


def searched():
    photo = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    FaceDetector("cpu", min_face=60).find([photo])


@pytest.mark.parametrize("call", [sampled, bent, embedded, searched])
def test_nothing_is_asked_of_a_device_that_it_may_lack(call):
    with Lacking() as mode:
        call()
    assert mode.refused == set()
