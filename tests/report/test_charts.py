import numpy as np
from matplotlib.colors import to_hex

from ferkit.evaluation.classification import classification_of
from ferkit.report.charts import draw_confusion, draw_projection, draw_training


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


def test_no_two_names_look_alike():
    names = [f"{number:02}" for number in range(81)]
    (axes,) = draw_projection(np.zeros((81, 2)), names, [None] * 81, "").axes
    looks = {
        (to_hex(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes()) for points in axes.collections
    }
    assert len(looks) == 81


def test_training_has_a_panel_a_figure_and_the_loss_first():
    figure = draw_training(
        {"gap": [(5, 0.1)], "lr": [(5, 1)], "loss": [(5, 2.0), (10, 1.0)], "knn": [(10, 0.5)]}, "run"
    )
    assert [axes.get_title(loc="left") for axes in figure.axes[:4]] == ["loss", "gap", "knn", "lr"]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[5, 2.0], [10, 1.0]]
    assert [axes.axison for axes in figure.axes] == [True] * 4 + [False] * 2
