"""The drawing of throughput against latency."""

from xml.etree import ElementTree

from inference.tuning.curve import draw
from tests.inference.tuning.candidates import figures


def test_curve_names_both_and_can_be_drawn() -> None:
    curves = {"default: <auto>": figures(100), "best": figures(130)}
    drawn = ElementTree.fromstring(draw(curves, [figures(90), {}]))
    texts = [element.text for element in drawn.iter() if element.tag.endswith("text")]
    assert "default: <auto>" in texts
    assert len([e for e in drawn.iter() if e.tag.endswith("polyline")]) == 2
