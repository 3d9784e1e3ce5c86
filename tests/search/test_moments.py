import numpy as np
import pytest

from ferkit.search.moment_settings import MomentSettings
from ferkit.search.moments import find_moments, smoothed

FPS = 25
UNSMOOTHED = MomentSettings(smooth=0)


def at(*frames):
    return [frame / FPS for frame in frames]


def series(*parts):
    """Scores at 25 frames a second: (value, frames) after one another."""
    scores = np.concatenate([np.full(frames, value, float) for value, frames in parts])
    return np.arange(len(scores)) / FPS, scores


def test_a_ramp_begins_and_ends_half_way():
    # 0 at frame 0, 1 at frame 10, 0.2 at frame 18: half of the way is 0.5 at frame 5 and 0.6 at frame 14.
    scores = np.concatenate([np.arange(11) / 10, 1 - np.arange(1, 9) / 10])
    (moment,) = find_moments(np.arange(19) / FPS, scores, UNSMOOTHED)
    assert [moment.onset_s, moment.apex_s, moment.offset_s] == pytest.approx(at(5, 10, 14))
    assert (moment.score, moment.place) == (1, 10)


def test_a_step_keeps_its_place_when_it_is_smoothed():
    # A Gaussian is symmetric: half of the step is reached between the frames about it, whatever its width.
    times, scores = series((0.1, 40), (0.9, 30), (0.1, 40))
    for smooth in (0.02, 0.1, 0.2):
        (moment,) = find_moments(times, scores, MomentSettings(smooth=smooth))
        assert [moment.onset_s, moment.offset_s] == pytest.approx(at(39.5, 69.5), abs=0.1 / FPS)


def test_an_expression_that_is_there_from_the_first_to_the_last_frame_is_one_moment():
    times, scores = series((0.95, 50))
    wavy = scores + 0.01 * np.sin(np.arange(50))
    for values in (scores, wavy):
        (moment,) = find_moments(times, values, least=0.5)
        assert (moment.onset_s, moment.offset_s) == (0, times[-1])


def test_ripples_below_the_prominence_are_one_moment():
    times, scores = series((0.1, 20), (0.9, 10), (0.8, 3), (0.9, 10), (0.1, 20))
    assert len(find_moments(times, scores, UNSMOOTHED)) == 1
    assert len(find_moments(times, scores, MomentSettings(smooth=0, prominence=0.05))) == 2


def test_limits_on_height_and_duration():
    times, scores = series((0.1, 20), (0.9, 3), (0.1, 20), (0.45, 20), (0.1, 20))
    found = find_moments(times, scores, UNSMOOTHED)
    assert [moment.score for moment in found] == [0.45]  # the other lasts 3 frames, 0.12 s
    shorter = MomentSettings(smooth=0, shortest=0.1)
    assert [moment.score for moment in find_moments(times, scores, shorter)] == [0.9, 0.45]
    assert [moment.score for moment in find_moments(times, scores, shorter, least=0.5)] == [0.9]


def test_nothing_passes_over_a_gap():
    times, scores = series((0.9, 50))
    seen = (times < 0.8) | (times > 1.5)
    first, second = find_moments(times[seen], scores[seen])
    assert first.offset_s == pytest.approx(0.76)
    assert second.onset_s == pytest.approx(1.52)
    assert seen.sum() > second.place > first.place
    shorter = (times < 0.8) | (times > 1.2)  # within the 0.5 s that are bridged
    assert len(find_moments(times[shorter], scores[shorter])) == 1
    ones, zeros = np.ones(20), np.zeros(20)
    both = np.concatenate([np.arange(20) / FPS, 10 + np.arange(20) / FPS])
    steps = np.concatenate([ones, zeros])
    np.testing.assert_allclose(smoothed(both, steps), steps, atol=1e-12)


def test_varying_frame_rates_give_the_same_moment():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 4, 200))
    scores = np.exp(-((times - 2) ** 2) / (2 * 0.3**2))
    (moment,) = find_moments(times, scores, MomentSettings(smooth=0.02))
    # A Gaussian falls to half of its height at 1.1774 deviations.
    assert [moment.onset_s, moment.offset_s] == pytest.approx([2 - 0.3532, 2 + 0.3532], abs=0.02)
