"""Learning rates as functions of the step."""

import math


def warmup_cosine(step: int, steps: int, warmup: float) -> float:
    """Linear warm-up, then half a cosine to zero.

    Args:
        step: 0 for the first.
        steps: of the whole run.
        warmup: share of the steps that rise, in [0, 1].

    Returns:
        Share of the highest rate, in [0, 1].
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
