import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ferkit.faces.packing import pack

even = st.integers(1, 60).map(lambda half: 2 * half)


@given(st.lists(st.tuples(even, even), max_size=40))
def test_rectangles_lie_inside_the_canvas_and_apart(sizes):
    places, (width, height) = pack(sizes)
    taken = np.zeros((height, width), int)
    for (left, top), (across, down) in zip(places, sizes, strict=True):
        assert left >= 0
        assert top >= 0
        assert left + across <= width
        assert top + down <= height
        taken[top : top + down, left : left + across] += 1
    assert taken.max(initial=0) <= 1
    assert taken.sum() == sum(across * down for across, down in sizes)
    assert {number % 2 for place in [*places, (width, height)] for number in place} <= {0}


def test_a_pyramid_wastes_little():
    sizes = [(2 * round(200 * 0.709**k), 2 * round(150 * 0.709**k)) for k in range(9)]
    _, (width, height) = pack(sizes)
    assert width * height < 1.15 * sum(across * down for across, down in sizes)
