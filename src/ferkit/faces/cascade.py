"""MTCNN's three stages (arXiv:1604.02878) over a batch of images of any sizes.

Boxes are continuous here: the first pixel covers 0 to 1. Every stage works on the candidates of all images together;
each candidate carries the number of its image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ferkit.faces.atlas import CELL, STRIDE, Atlas
from ferkit.faces.mipmaps import Mipmaps, halvings, patches_of_alike_boxes
from ferkit.faces.networks import MID_GRAY, output_network, proposal_network, refine_network
from ferkit.ops.boxes import nms, nms_min, shift_boxes, square_boxes

__all__ = ["Cascade", "Faces"]

Pixels = NDArray[np.uint8]

_OVERLAP = 0.7
"""Overlap above which two candidates are one face (the paper's, in all stages)."""

_STRIP_PIXELS = {"cpu": 1 << 17, "accelerator": 1 << 24}
"""Canvas pixels that P-Net sees at once: on a CPU its first layer's output then stays in the cache."""

_PATCHES = {"cpu": {24: 256, 48: 64}, "accelerator": {24: 8192, 48: 4096}}
"""Patches that R-Net and O-Net see at once."""


@dataclass(frozen=True)
class Candidates:
    """What a stage passes on: row i of every tensor is the same candidate.

    Attributes:
        image: (N,) int64, number of the image.
        boxes: (N, 4) float32 (x0, y0, x1, y1).
    """

    image: Tensor
    boxes: Tensor


@dataclass(frozen=True)
class Faces(Candidates):
    """What the last stage leaves, best first.

    Attributes:
        scores: (N,) float32 probability.
        landmarks: (N, 5, 2) float32 (x, y).
    """

    scores: Tensor
    landmarks: Tensor


class Cascade(nn.Module):
    """P-Net proposes on a pyramid, R-Net rejects and refines, O-Net decides and places the landmarks."""

    def __init__(self, thresholds: tuple[float, float, float], factor: float) -> None:
        super().__init__()
        self.propose_net, self.refine_net, self.output_net = proposal_network(), refine_network(), output_network()
        self.thresholds = [math.log(p / (1 - p)) for p in thresholds]
        self.factor = factor

    @torch.inference_mode()
    def forward(self, images: Sequence[Pixels], min_face: Sequence[float], device: torch.device) -> Faces:
        """Find the faces of (H, W, 3) uint8 RGB images; ``min_face`` is the smallest face's side in each."""
        stacks = [halvings(image) for image in images]
        mipmaps = Mipmaps.of(stacks, device)
        candidates = self.propose(Atlas.of(stacks, min_face, self.factor, device))
        return self.decide(self.refine(candidates, mipmaps), mipmaps)

    def propose(self, atlas: Atlas) -> Candidates:
        """Run P-Net over the canvas and turn its peaks into square candidates."""
        heads = self._heads(atlas.pixels)
        row, column = self._peaks(heads[0], atlas.owner).nonzero(as_tuple=True)
        level = atlas.owner[row, column].long()
        corner = torch.stack([column, row], dim=1) * STRIDE - atlas.origin[level]
        step = atlas.step[level]
        windows = torch.cat([corner * step, (corner + CELL) * step], dim=1)
        return _survivors(atlas.image[level], windows, heads[:, row, column].T)

    def refine(self, candidates: Candidates, mipmaps: Mipmaps) -> Candidates:
        """Let R-Net reject candidates and move the others."""
        heads = _over_patches(self.refine_net, candidates, mipmaps, side=24)
        passed = heads[:, 0] > self.thresholds[1]
        return _survivors(candidates.image[passed], candidates.boxes[passed], heads[passed])

    def decide(self, candidates: Candidates, mipmaps: Mipmaps) -> Faces:
        """Let O-Net decide which candidates are faces, move them, and place their landmarks."""
        heads = _over_patches(self.output_net, candidates, mipmaps, side=48)
        passed = heads[:, 0] > self.thresholds[2]
        image, boxes, heads = candidates.image[passed], candidates.boxes[passed], heads[passed]
        size = boxes[:, None, 2:] - boxes[:, None, :2]
        landmarks = boxes[:, None, :2] + size * heads[:, 5:].view(-1, 2, 5).transpose(1, 2)
        boxes = shift_boxes(boxes, heads[:, 1:5])
        best = nms_min(boxes, heads[:, 0], image, _OVERLAP)
        return Faces(image[best], boxes[best], heads[best, 0].sigmoid(), landmarks[best])

    def _heads(self, canvas: Tensor) -> Tensor:
        """P-Net's (5, H/2 - 5, W/2 - 5) outputs for an (H, W, 3) canvas, computed in strips; empty for an empty one."""
        height, width, _ = canvas.shape
        if not height:
            return torch.empty(5, 0, 0, device=canvas.device)
        rows = max(CELL, _STRIP_PIXELS[_kind(canvas.device)] // width // STRIDE * STRIDE)
        overlap = CELL - STRIDE
        strips = (canvas[top : top + rows + overlap] for top in range(0, height - overlap, rows))
        return torch.cat([self.propose_net(strip.permute(2, 0, 1)[None] - MID_GRAY)[0] for strip in strips], dim=1)

    def _peaks(self, scores: Tensor, owner: Tensor) -> Tensor:
        """Windows that pass the threshold and score no less than their eight neighbours.

        Windows of one level overlap by more than 0.5, the paper's limit within a level, only where they are neighbours.
        """
        height, width = scores.shape
        scores = scores.where(owner[:height, :width] >= 0, -math.inf)
        return (scores >= _highest_near(_highest_near(scores).T).T) & (scores >= self.thresholds[0])


def _highest_near(scores: Tensor) -> Tensor:
    """Maximum of each row with the rows above and below it."""
    highest = scores.clone()
    torch.maximum(highest[1:], scores[:-1], out=highest[1:])
    torch.maximum(highest[:-1], scores[1:], out=highest[:-1])
    return highest


def _survivors(image: Tensor, boxes: Tensor, heads: Tensor) -> Candidates:
    """Suppress by the score heads[:, 0] within each image, move by heads[:, 1:5], and make square."""
    best = nms(boxes, heads[:, 0], image, _OVERLAP)
    return Candidates(image[best], square_boxes(shift_boxes(boxes[best], heads[best, 1:])))


def _over_patches(network: nn.Module, candidates: Candidates, mipmaps: Mipmaps, side: int) -> Tensor:
    """The network's outputs (N, heads) for the patches under the candidates, a bounded number of patches at a time."""
    at_once = _PATCHES[_kind(candidates.boxes.device)][side]
    chunks = patches_of_alike_boxes(mipmaps, candidates.image, candidates.boxes, side, at_once)
    rows, heads = zip(*((rows, network(patches)) for rows, patches in chunks), strict=True)
    return torch.cat(heads)[torch.cat(rows).argsort()]


def _kind(device: torch.device) -> str:
    return "cpu" if device.type == "cpu" else "accelerator"
