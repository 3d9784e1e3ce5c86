import threading

import numpy as np
from PIL import Image

from ferkit.data.images import MemoryBudget, read_image


def test_what_does_not_fit_together_goes_one_after_the_other():
    budget, inside, most = MemoryBudget(10), [], []

    def work(wanted):
        with budget.reserve(wanted):
            inside.append(wanted)
            most.append(sum(min(each, 10) for each in inside))
            threading.Event().wait(0.002)
            inside.remove(wanted)

    threads = [threading.Thread(target=work, args=(wanted,)) for wanted in (4, 4, 4, 7, 100, 1, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=5)
    assert len(most) == 7
    assert max(most) <= 10


def test_bands_are_seamless(tmp_path):
    """Pictures of several bands become what they become as a whole."""
    random = np.random.default_rng(0)
    deep = random.integers(0, 60_000, (600, 20), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_allclose(read_image(tmp_path / "deep.png")[..., 0], deep * (255 / 65535), atol=0.51)
    see_through = random.integers(0, 256, (600, 20, 4), dtype=np.uint8)
    Image.fromarray(see_through).save(tmp_path / "alpha.png")
    alpha = see_through[..., 3:] / 255
    expected = see_through[..., :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(read_image(tmp_path / "alpha.png"), expected, atol=1.01)
