import numpy as np
import pytest

from ferkit.data.clip_windows import ClipMates, ClipWindows, Strangers, Windows


def generator(seed=0):
    return np.random.default_rng(seed)


def frames(*counts, fps=25.0):
    """Clips of so many frames each."""
    clip = np.repeat(np.arange(len(counts)), counts)
    return clip, np.concatenate([np.arange(count) / fps for count in counts])


def pairs_by_definition(clip, time_s, row, low, high):
    """Rows of the same clip between two distances, by comparing all of them."""
    distance = np.round(np.abs(time_s - time_s[row]), 6)
    return set(np.flatnonzero((clip == clip[row]) & (distance >= low) & (distance <= high)).tolist())


@pytest.mark.parametrize("fps", [25.0, 30.0, 29.97, 25 / 6, 3.0])
def test_pairs_keep_their_distances_and_clips_in_any_order_of_rows(fps):
    clip, time_s = frames(round(8 * fps), round(2 * fps), round(5 * fps), fps=fps)
    shuffle = generator(1).permutation(len(clip))
    clip, time_s = clip[shuffle], time_s[shuffle] + 100 * clip[shuffle]
    windows = ClipWindows(clip, time_s)
    rows = windows.anchors
    pairs = windows.draw(rows, generator())
    near, far = (np.abs(time_s[drawn] - time_s[rows]) for drawn in (pairs.positive, pairs.hard_negative))
    hard = clip[pairs.hard_negative] == clip[rows]
    assert near.min() >= 0.48 - 1e-6
    assert near.max() <= 1.44 + 1e-6
    assert far[hard].min() >= 2.88 - 1e-6
    second = np.abs(time_s[pairs.hard_positive] - time_s[pairs.hard_negative])
    assert second.min() >= 0.48 - 1e-6
    assert second.max() <= 1.44 + 1e-6
    np.testing.assert_array_equal(clip[pairs.positive], clip[rows])
    np.testing.assert_array_equal(clip[pairs.hard_positive], clip[pairs.hard_negative])
    np.testing.assert_array_equal(hard, windows.has_hard_negative)


def test_everything_allowed_is_drawn_and_nothing_else():
    clip, time_s = frames(90, 30)
    windows = ClipWindows(clip, time_s)
    for row in (0, 5, 40, 89, 91):
        pairs = windows.draw(np.full(4000, row), generator(row))
        assert set(pairs.positive.tolist()) == pairs_by_definition(clip, time_s, row, 0.48, 1.44)
        hard = pairs_by_definition(clip, time_s, row, 2.88, np.inf)
        others = set(np.flatnonzero(clip != clip[row]).tolist())
        assert set(pairs.hard_negative.tolist()) == (hard or others)


def test_where_there_is_no_hard_negative_all_anchors_of_other_clips_are_drawn_alike():
    clip, time_s = frames(40, 50, 60)  # at most 2.4 s
    drawn = ClipWindows(clip, time_s).draw(np.full(50_000, 60), generator()).hard_negative
    shares = np.bincount(drawn, minlength=150) / len(drawn)
    assert (shares[40:90] == 0).all()
    np.testing.assert_allclose(np.delete(shares, np.arange(40, 90)), 1 / 100, atol=0.002)


def test_at_the_authors_frame_rate_the_offsets_have_their_weights():
    """Frames 0.24 s apart: two to six frames away with chances 5, 4, 3, 2, 1 of 15, either way alike if both are."""
    windows, weights = ClipWindows(*frames(41, fps=25 / 6)), np.array([5, 4, 3, 2, 1]) / 15
    for row in (0, 20):
        offsets = windows.draw(np.full(60_000, row), generator()).positive - row
        assert set(np.abs(offsets).tolist()) == {2, 3, 4, 5, 6}
        shares = np.bincount(np.abs(offsets), minlength=7)[2:] / len(offsets)
        np.testing.assert_allclose(shares, weights, atol=0.008)
        assert (offsets > 0).mean() == pytest.approx(0.5 if row else 1, abs=0.01)


def test_a_sub_window_without_frames_leaves_its_chance_to_the_others():
    """Frames at 0, 0.5 and 1.4 s: the first and the last sub-window of the first frame, 5 to 1."""
    windows = ClipWindows(np.zeros(3, np.int64), np.array([0.0, 0.5, 1.4]))
    positive = windows.draw(np.zeros(60_000, np.int64), generator()).positive
    assert (positive == 1).mean() == pytest.approx(5 / 6, abs=0.008)
    assert (positive == 2).mean() == pytest.approx(1 / 6, abs=0.008)


def test_what_cannot_be_paired_is_left_out_and_counted():
    clip = np.array([0] * 200 + [1] * 50 + [2] + [3] * 3 + [-1] * 7 + [4] * 2)
    time_s = np.concatenate([frames(200, 50)[1], [0.0], [0, 0.04, 3.0], np.zeros(7), [np.nan, 1.0]])
    windows = ClipWindows(clip, time_s)
    counts = windows.counts
    assert counts.faces == len(clip)
    assert counts.untimed == 8
    assert counts.lonely == 1 + 3 + 1
    assert counts.clips == 2
    assert counts.short_clips == 1  # 2 s
    assert counts.without_hard_negative == 50
    np.testing.assert_array_equal(windows.anchors, np.arange(250))
    none = ClipWindows(np.empty(0, np.int64), np.empty(0))
    assert len(none.anchors) == none.counts.clips == none.counts.short_clips == 0
    assert len(none.draw(none.anchors, generator()).positive) == 0


def test_hard_negatives_have_positives_themselves():
    """A frame 10 s away from all others is no hard negative, for it would be an anchor without a positive."""
    time_s = np.append(np.arange(30) / 25, 11.0)
    windows = ClipWindows(np.zeros(31, np.int64), time_s)
    assert windows.counts.lonely == 1
    assert not windows.has_hard_negative.any()


def test_moments_keep_times_within_a_clip_and_clips_apart():
    clip, time_s = np.array([1, -1, 0, 1, 0, 2]), np.array([7.0, 3, 0, 7.5, 0.5, np.nan])
    moments = ClipWindows(clip, time_s).moments
    assert (moments[3] - moments[0], moments[4] - moments[2]) == (500_000, 500_000)
    person = clip.copy()
    person[[1, 5]] = [10, 11]  # nobody's frames are near to none
    apart = np.abs(moments[:, None] - moments)[person[:, None] != person]
    assert apart.min() > Windows().least_apart == 2_880_000


def test_strangers_are_all_faces_of_others_alike():
    person = np.array([3, 1, 3, 7, 1, 3])
    strangers, rows = Strangers(person), np.repeat(np.arange(6), 3000)
    drawn = strangers.draw(rows, generator())
    assert (person[drawn] != person[rows]).all()
    shares = [np.bincount(drawn[rows == row], minlength=6) / 3000 for row in range(6)]
    for row, share in enumerate(shares):
        others = person != person[row]
        np.testing.assert_allclose(share[others], 1 / others.sum(), atol=0.04)


def test_mates_are_all_other_faces_of_the_clip_alike():
    clip = np.array([5, -1, 2, 5, 5, 2, 7, 5])
    mates = ClipMates(clip)
    assert mates.members.tolist() == [2, 5, 0, 3, 4, 7]
    drawn = np.bincount(mates.draw(np.full(30_000, 3), generator()), minlength=8)
    np.testing.assert_allclose(drawn / 30_000, [1 / 3, 0, 0, 0, 1 / 3, 0, 0, 1 / 3], atol=0.01)
    assert mates.draw(np.array([2, 5]), generator()).tolist() == [5, 2]
    with pytest.raises(ValueError, match="row 6 is alone"):
        mates.draw(np.array([0, 6]), generator())
