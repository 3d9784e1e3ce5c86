"""The parts of SSL-FER (Shu et al., BMVC 2022, arXiv:2210.03853), for any method that contrasts pairs.

`strategy.PairStrategy` is all that a method calls. `pairs` has TimeAug, HardNeg, FaceSwap and CutMix, which choose and
paint faces before any view is made.
"""
