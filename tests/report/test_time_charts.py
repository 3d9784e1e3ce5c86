import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from ferkit.report.pages import clock
from ferkit.report.time_charts import Lane, Stretch, draw_timeline
from ferkit.search.moment_settings import MomentSettings

UNSMOOTHED = MomentSettings(smooth=0)


def timeline(*stretches, classes=("neutral", "happiness")):
    figure = draw_timeline([Lane("a.mp4", stretches, 5)], classes, "a", UNSMOOTHED)
    figure.draw_without_rendering()
    return figure


def bands(figure):
    return [each for each in figure.axes[0].collections if isinstance(each, PolyCollection)]


def test_bands_are_as_high_as_the_probabilities():
    times = np.arange(5) / 5
    shares = np.column_stack([[0.9, 0.8, 0.5, 0.2, 0.1], [0.1, 0.2, 0.5, 0.8, 0.9]])
    lower, upper = bands(timeline(Stretch("face 1", times, shares)))
    tops = lower.get_paths()[0].vertices
    for time, share in zip(times, shares[:, 0], strict=True):
        assert tops[np.isclose(tops[:, 0], time), 1].max() == pytest.approx(share)
    assert upper.get_paths()[0].vertices[:, 1].max() == pytest.approx(1)


def test_where_no_face_was_seen_nothing_is_drawn():
    times = np.concatenate([np.arange(10), 30 + np.arange(10)]) / 10
    found = bands(timeline(Stretch("face 1", times, np.full((20, 2), 0.5))))
    assert len(found) == 4  # two classes, before and after the gap
    ends = sorted({tuple(each.get_paths()[0].vertices[:, 0][[0]]) for each in found})
    assert ends == [(0.0,), (3.0,)]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (2.5, "2.5 s"), (60, "1:00"), (62.5, "1:02.5"), (3723, "1:02:03")]
)
def test_times_read_as_on_a_player(seconds, text):
    assert clock(seconds) == text
