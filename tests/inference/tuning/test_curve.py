"""The drawing of throughput against latency."""

from xml.etree import ElementTree

from inference.tuning.curve import BOTTOM, LEFT, RIGHT, TOP, draw
from inference.tuning.load import Load
from tests.inference.tuning.candidates import figures


def test_curve_names_both_and_can_be_drawn() -> None:
    curves = {"default: <auto>": figures(100), "best": figures(130)}
    drawn = ElementTree.fromstring(draw(curves, [figures(90), {}]))
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    assert "default: <auto>" in texts
    assert len([e for e in drawn.iter() if e.tag.endswith("polyline")]) == 2


def test_the_axes_of_a_slow_model_and_of_a_fast_one_are_in_plain_numbers() -> None:
    texts = [
        element.text or ""
        for load in (Load(0.9, 50_000), Load(20_000, 0.2))
        for element in ElementTree.fromstring(draw({"best": {16: load}}, [])).iter()
        if element.tag.endswith("text")
    ]
    assert "52500" in texts
    assert not [text for text in texts if "e+" in text]


def test_more_answers_are_further_right_and_longer_waits_higher() -> None:
    curves = {"best": {1: Load(100, 10), 4: Load(200, 20)}}
    drawn = ElementTree.fromstring(draw(curves, []))
    (line,) = (element for element in drawn.iter() if element.tag.endswith("polyline"))
    (one, four) = (
        [float(part) for part in point.split(",")] for point in line.attrib["points"].split()
    )
    assert LEFT < one[0] < four[0] < RIGHT
    assert BOTTOM > one[1] > four[1] > TOP
