"""MTCNN's three stages (arXiv:1604.02878) over a batch of images of any sizes.

Boxes are continuous here: the first pixel covers 0 to 1. Every stage works on the candidates of all images together;
each candidate carries the number of its image. The networks may run in half precision; boxes are always float32.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import pad

from ferkit.faces.image_pyramid import cut_patches, halvings
from ferkit.faces.networks import output_network, proposal_network, refine_network
from ferkit.faces.openvino_networks import OpenVinoNetwork
from ferkit.faces.packed_pyramid import CELL, STRIDE, Atlas
from ferkit.ops.boxes import nms, nms_min, shift_boxes, square_boxes

Pixels = NDArray[np.uint8]
Stacks = Sequence[Sequence[Pixels]]

OVERLAP = 0.7
"""Overlap above which two candidates are one face (the paper's, in all stages)."""

_AT_THE_BOX = ((0.0, 0.0, 0.0, 0.0),)
_SHIFTS = (
    (-0.1, -0.1, 0.1, 0.1),
    (0.1, 0.1, -0.1, -0.1),
    (-0.12, 0.0, -0.12, 0.0),
    (0.12, 0.0, 0.12, 0.0),
    (0.0, -0.12, 0.0, -0.12),
    (0.0, 0.12, 0.0, 0.12),
)
"""Where a face that is followed is looked for when it is not where it must be: corners, in shares of the box's side."""

_TILE = {"cpu": 216, "openvino": 432, "accelerator": 4096}
"""Side of the pieces of canvas that P-Net sees at once, even. On a CPU what passes between its layers then stays in the
cache, while the 10 pixels that neighbouring pieces share are still few."""

_STEP = 36
"""Pixels by which sides of the pieces differ for OpenVINO, which takes longer over a shape that it has not met."""

_PATCHES = {"cpu": {24: 64, 48: 16}, "openvino": {24: 256, 48: 64}, "accelerator": {24: 8192, 48: 4096}}
"""Patches that R-Net and O-Net see at once, chosen likewise."""


@dataclass(frozen=True)
class Candidates:
    """What a stage passes on: row i of every tensor is the same candidate."""

    image: Tensor  # (N,) int64, number of the image
    boxes: Tensor  # (N, 4) float32 (x0, y0, x1, y1)


@dataclass(frozen=True)
class Faces(Candidates):
    """What the last stage leaves, best first."""

    scores: Tensor  # (N,) float32 probability
    landmarks: Tensor  # (N, 5, 2) float32 (x, y)


class Cascade(nn.Module):
    """P-Net proposes on a pyramid, R-Net rejects and refines, O-Net decides and places the landmarks."""

    def __init__(self, thresholds: tuple[float, float, float], factor: float) -> None:
        super().__init__()
        self.propose_net: nn.Module = proposal_network()
        self.refine_net: nn.Module = refine_network()
        self.output_net: nn.Module = output_network()
        self.thresholds = [math.log(p / (1 - p)) for p in thresholds]
        self.factor = factor

    def use_openvino(self, threads: int) -> None:
        """Let OpenVINO compute the networks on the CPU, for so many calls side by side.

        P-Net and R-Net, whose boxes O-Net moves once more, may do so in bfloat16; O-Net, which decides, does not.
        """
        self.propose_net = OpenVinoNetwork(self.propose_net, threads, half=True)
        self.refine_net = OpenVinoNetwork(self.refine_net, threads, half=True)
        self.output_net = OpenVinoNetwork(self.output_net, threads)

    @torch.inference_mode()
    def forward(self, images: Sequence[Pixels], min_face: Sequence[float], device: torch.device) -> Faces:
        """Find the faces of (H, W, 3) uint8 RGB images; ``min_face`` is the smallest face's side in each."""
        stacks = [halvings(image) for image in images]
        candidates = self.propose(Atlas.of(stacks, min_face, self.factor, device))
        return self.decide(self.refine(candidates, stacks), stacks)

    @torch.inference_mode()
    def follow(
        self, images: Sequence[Pixels], boxes: NDArray[np.float32], device: torch.device, *, beside: bool
    ) -> Faces:
        """Find faces where they must be near: R-Net and O-Net alone, on each box, or on shifted ones.

        On the box itself R-Net moves its own result once more, and landmarks are means of O-Net's there and on the box
        as given: nearer by a tenth to those of a whole search.

        Args:
            images: one (H, W, 3) uint8 RGB image for each box.
            boxes: (N, 4) float32, each in pixels of its image.
            device: where the networks run.
            beside: look about the boxes and not at them.
        """
        stacks, shifts = [halvings(image) for image in images], _SHIFTS if beside else _AT_THE_BOX
        squares = square_boxes(torch.from_numpy(boxes).to(device))
        side = (squares[:, 2] - squares[:, 0])[:, None, None]
        near = squares[:, None] + side * torch.tensor(shifts, device=device)
        image = torch.arange(len(boxes), device=device).repeat_interleave(len(shifts))
        candidates = self.refine(Candidates(image, near.reshape(-1, 4)), stacks)
        if beside:
            return self.decide(candidates, stacks)
        faces = self.decide(self.refine(candidates, stacks), stacks)
        start = squares[faces.image]
        landmarks = _landmarks(start, _over_patches(self.output_net, Candidates(faces.image, start), stacks, side=48))
        return replace(faces, landmarks=(faces.landmarks + landmarks) / 2)

    def propose(self, atlas: Atlas) -> Candidates:
        """Run P-Net over the canvas and turn its peaks into square candidates."""
        heads = _over_canvas(self.propose_net, atlas.pixels)
        row, column = self._peaks(heads[0], atlas.owner).nonzero(as_tuple=True)
        level = atlas.owner[row, column].long()
        corner = torch.stack([column, row], dim=1) * STRIDE - atlas.origin[level]
        step = atlas.step[level]
        windows = torch.cat([corner * step, (corner + CELL) * step], dim=1)
        return _survivors(atlas.image[level], windows, heads[:, row, column].T)

    def refine(self, candidates: Candidates, stacks: Stacks) -> Candidates:
        """Let R-Net reject candidates and move the others."""
        heads = _over_patches(self.refine_net, candidates, stacks, side=24)
        passed = heads[:, 0] > self.thresholds[1]
        return _survivors(candidates.image[passed], candidates.boxes[passed], heads[passed])

    def decide(self, candidates: Candidates, stacks: Stacks) -> Faces:
        """Let O-Net decide which candidates are faces, move them, and place their landmarks."""
        heads = _over_patches(self.output_net, candidates, stacks, side=48)
        passed = heads[:, 0] > self.thresholds[2]
        image, boxes, heads = candidates.image[passed], candidates.boxes[passed], heads[passed]
        landmarks = _landmarks(boxes, heads)
        boxes = shift_boxes(boxes, heads[:, 1:5])
        best = nms_min(boxes, heads[:, 0], image, OVERLAP)
        return Faces(image[best], boxes[best], heads[best, 0].sigmoid(), landmarks[best])

    @torch.inference_mode()
    def look(self, patches: Tensor, device: torch.device) -> Tensor:
        """Return O-Net's (N, 15) float32 outputs for (N, 48, 48, 3) uint8 patches."""
        return _in_chunks(self.output_net, patches, device)

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
    best = nms(boxes, heads[:, 0], image, OVERLAP)
    return Candidates(image[best], square_boxes(shift_boxes(boxes[best], heads[best, 1:])))


def _landmarks(boxes: Tensor, heads: Tensor) -> Tensor:
    """(N, 5, 2) landmarks from O-Net's (N, 15) outputs for (N, 4) boxes."""
    size = boxes[:, None, 2:] - boxes[:, None, :2]
    return boxes[:, None, :2] + size * heads[:, 5:].view(-1, 2, 5).transpose(1, 2)


def _over_canvas(network: nn.Module, canvas: Tensor) -> Tensor:
    """P-Net's (5, H/2 - 5, W/2 - 5) outputs for an (H, W, 3) canvas, computed tile by tile; empty for an empty one."""
    height, width = (max(0, (side - CELL) // STRIDE + 1) for side in canvas.shape[:2])
    heads = torch.empty(5, height, width, device=canvas.device)
    side = _TILE[_kind(network, canvas.device)]
    if isinstance(network, OpenVinoNetwork):
        more = (-(length - (CELL - STRIDE)) % _STEP for length in canvas.shape[1::-1])
        canvas = pad(canvas, (0, 0, 0, next(more), 0, next(more)))
    reach = side + CELL - STRIDE
    for y, x in product(range(0, height * STRIDE, side), range(0, width * STRIDE, side)):
        top, left, tile = y // STRIDE, x // STRIDE, canvas[None, y : y + reach, x : x + reach]
        part = heads[:, top : top + side // STRIDE, left : left + side // STRIDE]
        part[:] = network(_planes(tile, network))[0, :, : part.shape[1], : part.shape[2]]
    return heads


def _over_patches(network: nn.Module, candidates: Candidates, stacks: Stacks, side: int) -> Tensor:
    """The network's outputs (N, heads) for the patches under the candidates, a bounded number of patches at a time."""
    image, boxes = candidates.image.cpu().numpy(), candidates.boxes.cpu().numpy()
    patches = torch.from_numpy(cut_patches(stacks, image, boxes, side))
    return _in_chunks(network, patches, candidates.boxes.device)


def _in_chunks(network: nn.Module, patches: Tensor, device: torch.device) -> Tensor:
    chunks = torch.split(patches, _PATCHES[_kind(network, device)][patches.shape[1]])
    return torch.cat([network(_planes(chunk.to(device), network)) for chunk in chunks]).float()


def _planes(images: Tensor, network: nn.Module) -> Tensor:
    """(B, H, W, 3) uint8 images as the network takes them: for torch (B, 3, H, W) in its precision."""
    if isinstance(network, OpenVinoNetwork):
        return images
    return images.permute(0, 3, 1, 2).to(next(network.parameters()).dtype)


def _kind(network: nn.Module, device: torch.device) -> str:
    if isinstance(network, OpenVinoNetwork):
        return "openvino"
    return "cpu" if device.type == "cpu" else "accelerator"
