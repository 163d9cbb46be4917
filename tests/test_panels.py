"""The small pictures of lessons: lines and bars side by side."""
from electra_tutorial.views.panels import MARKED, bar_panels, line_panels


def test_bars_stand_over_their_labels_on_one_scale_even_if_two_labels_are_the_same():
    drawn = bar_panels({"one": (["the", "cat", "the"], [0.1, 0.2, 0.3]), "two": ([1, 2], [0.5, 0.4])},
                       "words", "share", line=(0.25, "the rate"))
    one, two = drawn.figure.axes
    assert [bar.get_height() for bar in one.patches] == [0.1, 0.2, 0.3]
    assert [label.get_text() for label in one.get_xticklabels()] == ["the", "cat", "the"]
    assert one.get_ylim() == two.get_ylim() and one.get_ylabel() == "share" and drawn.alt == "words"
    for axes, title in ((one, "one"), (two, "two")):
        assert list(axes.get_lines()[0].get_ydata()) == [0.25, 0.25] and axes.get_title("left") == title


def test_many_labels_are_tilted_and_few_are_not():
    few, many = bar_panels({"few": (range(6), range(6)), "many": (range(7), range(7))}, "words", "x").figure.axes
    assert {label.get_rotation() for label in few.get_xticklabels()} == {0}
    assert {label.get_rotation() for label in many.get_xticklabels()} == {60}


def test_scales_are_logarithmic_where_it_was_asked():
    for log, scales in ((False, ("linear", "linear")), (True, ("linear", "log")), ("y", ("linear", "log")),
                        ("x", ("log", "linear")), ("both", ("log", "log"))):
        (axes,) = line_panels({"one": {"a": [1, 2]}}, "words", "x", x=[1, 10], log=log).figure.axes
        assert (axes.get_xscale(), axes.get_yscale()) == scales


def test_a_line_of_many_points_does_not_mark_each():
    (axes,) = line_panels({"one": {"short": range(MARKED), "long": range(MARKED + 1)}}, "words", "x",
                          x=None).figure.axes
    short, long = axes.get_lines()
    assert short.get_marker() != "None" and long.get_marker() == "None"
