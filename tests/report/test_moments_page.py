import re

import numpy as np

from ferkit.report.moments_page import moments_page
from ferkit.report.time_charts import Mark, ScoreCurve
from ferkit.search.hits import MomentHit

EVIL = "<script>x</script>.mp4@1"


def drawn(scores, marks=(), measure="probability", gone=0.0):
    times = np.arange(len(scores)) / 25
    times[len(times) // 2 :] += gone
    values = np.asarray(scores, float)
    hits = [MomentHit(each.rank, 0.9, EVIL, None, *each[1:], f"/{EVIL[:-2]}#3", 1, 3) for each in marks]
    curve = ScoreCurve(EVIL, times, values, values, marks)
    return moments_page(
        hits, ["picture not found"] * len(hits), [curve], ("fear", "fear"), ("t", "l", None), measure, 0.5, 0.5
    )


def points(page, name="smooth"):
    (path,) = re.findall(rf'class="{name}" d="([^"]+)"', page)
    return [[tuple(map(float, at.split())) for at in part.split("L")] for part in path.split("M")[1:]]


def test_a_curve_and_its_moment_stand_where_their_times_and_scores_are():
    page = drawn([0.0, 0.5, 1.0, 0.5, 0.0], [Mark(1, 0.04, 0.08, 0.12)])
    assert points(page) == [[(0, 100), (250, 50), (500, 0), (750, 50), (1000, 100)]]
    assert '<rect class="span" x="250.0" y="0" width="500.0"' in page
    assert 'style="left:50.00%;top:0.0%"' in page
    assert "<script" not in page
    assert "picture not found" in page


def test_a_gap_breaks_the_curve_and_no_peak_of_a_long_one_is_lost():
    scores = np.zeros(20_000)
    scores[12_345] = 1.0
    (line,) = points(drawn(scores))
    assert len(line) <= 1000
    assert min(y for _, y in line) == 0
    assert len(points(drawn(scores[:8], gone=2.0))) == 2
