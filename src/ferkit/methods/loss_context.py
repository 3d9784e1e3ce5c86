"""What a loss knows of its rows beside their views, by the parts of SSL-FER."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Described:
    """What MaskFN knows of N anchors and their N positives.

    Attributes:
        clip: (N,) int64 number of each anchor's clip, -1 for none.
        features: (N, 2, D) of eyes and mouth of each anchor and of its positive.
        legible: (N, 2) bool, whether both patches of each show something.
    """

    clip: Tensor
    features: Tensor
    legible: Tensor


@dataclass(frozen=True)
class Mixed:
    """What CutMix did to N positives.

    Attributes:
        partner: (N,) int64 row of the anchor whose positive was mixed in.
        share: (N,) how much of its own inner face each positive has kept, in [0, 1].
    """

    partner: Tensor
    share: Tensor


LossContext = Described | Mixed | None
"""None where no part has anything to say."""
