import numpy as np
from matplotlib.colors import to_hex

from ferkit.evaluation.classification import classification_of
from ferkit.report.charts import draw_confusion, draw_projection


def texts(axes):
    return [text.get_text() for text in axes.texts]


def test_confusion_shows_shares_of_the_row_and_counts():
    true = ["anger"] * 4 + ["joy"] * 2
    figure = draw_confusion(classification_of(true, ["anger", "anger", "anger", "joy", "joy", "joy"]), "who", "what")
    (axes,) = figure.axes
    assert texts(axes)[:8] == ["75%", "3", "25%", "1", "0%", "0", "100%", "2"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 1]])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["anger (4)", "joy (2)"]
    assert axes.get_title(loc="left") == "who"
    assert texts(axes)[-1] == "what"


def drawn(axes):
    """The number of points, colours and legend of each name."""
    handles, names = axes.get_legend_handles_labels()
    return {
        name: (len(handle.get_offsets()), to_hex(handle.get_facecolor()[0]))
        for handle, name in zip(handles, names, strict=True)
    }


def test_a_map_is_coloured_by_expression_and_by_identity():
    points = np.arange(14.0).reshape(7, 2)
    labels, people = [*"aabbb", None, "a"], ["x", "x", "y", "y", "y", None, "z"]
    left, right = draw_projection(points, labels, people, "title").axes
    assert {name: count for name, (count, _) in drawn(left).items()} == {"a (3)": 3, "b (3)": 3, "no label": 1}
    # z has one face, which no other could lie beside, and one face is nobody's.
    assert {name: count for name, (count, _) in drawn(right).items()} == {"y (3)": 3, "x (2)": 2, "1 others": 2}
    at = {name: handle.get_offsets() for handle, name in zip(*left.get_legend_handles_labels(), strict=True)}
    np.testing.assert_allclose(at["a (3)"], points[[0, 1, 6]])
