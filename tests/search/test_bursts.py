import numpy as np
import pytest

from ferkit.search.bursts import Candidate, find_bursts, photo_look, reasons, worth


def looks(*scenes):
    """One look for each number: equal numbers are near-equal photos."""
    random = np.random.default_rng(0)
    pictures = {scene: random.integers(0, 256, (48, 64, 3), np.uint8) for scene in dict.fromkeys(scenes)}
    return [photo_look(pictures[scene] // 2 + number) for number, scene in enumerate(scenes)]


def test_photos_within_seconds_of_each_other_are_a_burst_whatever_they_show():
    times = [10.0, 12.5, 14.9, 18.0, 100.0]
    assert find_bursts(times, looks(0, 1, 2, 3, 4)) == [[0, 1, 2], [3], [4]]
    assert find_bursts(times, looks(0, 1, 2, 3, 4), seconds=3.2) == [[0, 1, 2, 3], [4]]


def test_without_times_neighbours_that_look_alike_are_a_burst():
    assert find_bursts([None] * 5, looks(0, 0, 1, 2, 2)) == [[0, 1], [2], [3, 4]]
    assert find_bursts([None] * 3, looks(0, 1, 0)) == [[0], [1], [2]]  # no neighbours


def test_times_and_looks_join_what_either_joins():
    assert find_bursts([10.0, None, None, 11.0], looks(0, 1, 1, 2)) == [[0, 3], [1, 2]]
    assert find_bursts([10.0, None, 11.0], looks(0, 0, 1)) == [[0, 1, 2]]


def test_a_flat_photo_is_like_no_other():
    flat = photo_look(np.full((8, 8, 3), 90, np.uint8))
    assert find_bursts([None, None], [flat, flat]) == [[0], [1]]


def test_worth_is_the_product_that_is_stated():
    faces = [Candidate(0.8, 0.6, 100, 0, 0), Candidate(0.9, 0.3, 25, 60, None)]
    # 0.8 * 1 * 1 * 1; 0.9 * 0.3/0.6 * sqrt(25/100) * cos 60°
    assert worth(faces) == pytest.approx([0.8, 0.9 * 0.5 * 0.5 * 0.5])


def test_reasons_say_where_a_face_is_ahead_and_where_behind():
    faces = [Candidate(0.9, 0.6, 100, 20, 0), Candidate(0.5, 0.6, 120, 0, 0)]
    assert reasons(faces, 0) == ["most alike", "smaller", "turned further"]
    assert reasons(faces, 1) == ["less alike", "largest", "straight to the camera"]
