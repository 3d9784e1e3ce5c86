import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from ferkit.evaluation.affect import DIMENSIONS
from ferkit.evaluation.classification import classification_of
from ferkit.evaluation.intervals import Interval
from ferkit.probing.report import (
    AffectSection,
    ClassifierSection,
    Comparison,
    DataStamp,
    EncoderReport,
    LeakageSection,
    MetricValue,
    ProbedFaces,
    ProbeReport,
    RetrievalSection,
)
from ferkit.report.probe_figures import SavedFigure
from ferkit.report.probe_page import page_of

EVIL = '<script>alert("x")</script>&'


class Page(HTMLParser):
    """Tables as lists of rows, text, and every attribute that could fetch something."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.sources, self.text, self.open = [], [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.sources += [value for name, value in attributes if name in ("src", "href", "srcset")]
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("th", "td"):
            self.tables[-1][-1].append("")
        elif tag == "small":
            self.tables[-1][-1][-1] += " | "

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("th", "td", "small"):
            self.tables[-1][-1][-1] += data


def encoder(name, accuracy):
    result = classification_of(["a", "a", "b"], ["a", "b", "b"])
    figures = (
        MetricValue("accuracy", accuracy, (0.1, 0.9), 9, 0.5, (0.6, 0.7)),
        MetricValue("macro_f1", 0.25, None, 9),
    )
    affect = tuple(MetricValue(f"{each}.ccc", 0.125, None, 9) for each in DIMENSIONS)
    sections = {
        "linear": ClassifierSection("linear probe", figures, result, ({"strength": 0.01},)),
        "affect": AffectSection("ridge", affect, ({"alpha": 1.0},), np.zeros((1, 2)), np.zeros((1, 2))),
        "retrieval": RetrievalSection("retrieval", (MetricValue("precision", 0.5, None, 9),), {"a": (0.5, 0.25)}),
        "leakage": LeakageSection(
            "leakage",
            (MetricValue("identity.nearest", 0.9, None, 9, 0.01),),
            {"pixels": (MetricValue("identity.nearest", 0.3, None, 9),), "random": ()},
            {"identity.linear": "too few faces"},
        ),
    }
    asked = ProbedFaces((), (), np.empty((0, 2), np.float32), np.empty((0, 2), np.float32))
    return EncoderReport(name, name, "abcdef" * 10, 512, None, 0.875, sections, asked)


@pytest.fixture
def report():
    stamp = DataStamp((EVIL, "faces"), "12" * 32, 1234, 3, 0, 1234, {"a": 800, EVIL: 4}, 0, 0)
    difference = Comparison("linear", "accuracy", "first", "second", Interval(0.1, 0.05, 0.15, 9))
    return ProbeReport(
        data=stamp,
        test=stamp,
        split="train and asked faces were named",
        settings={"pair": EVIL},
        versions={"ferkit": "0.1"},
        warnings=(f"nobody is known: {EVIL}",),
        skipped={"triplets": "no identities"},
        encoders=(encoder("first", 0.625), encoder(EVIL, 0.5)),
        comparisons=(difference,),
    )


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "map.png"
    path.write_bytes(b"\x89PNG picture")
    return SavedFigure(path, "Map", f"by {EVIL}", None, "first")


def test_nothing_is_fetched_and_no_name_becomes_markup(report, picture):
    text = page_of(report, [picture])
    page = Page(text)
    assert page.open == []
    assert "<script" not in text
    assert page.text.count(EVIL) > 5
    assert set(re.findall(r"\w+://[\w.]+", text)) <= {"http://www.w3.org"}  # the name of SVG, not an address
    assert re.findall(r"url\(|@import", text) == []
    assert [base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in page.sources] == [
        b"\x89PNG picture"
    ]


def test_tables_hold_the_figures(report):
    about, linear, recall, affect, retrieval, by_class, leakage, differences = Page(page_of(report, [])).tables
    assert about[1] == ["first", "512", "–", "87.5%", "abcdefabcdef"]
    assert linear == [
        ["encoder", "accuracy", "macro f1"],
        ["first", "0.625 (0.100–0.900) | 0.600 0.700", "0.250"],
        [EVIL, "0.500 (0.100–0.900) | 0.600 0.700", "0.250"],
        ["chance", "0.500", "–"],
    ]
    assert recall == [["class", "first", EVIL], ["a", "0.500", "0.500"], ["b", "1.000", "1.000"]]
    assert affect[0] == ["encoder", "valence ccc", "arousal ccc"]
    assert retrieval[1] == ["first", "0.500"]
    assert by_class[1] == ["a", "0.500 / 0.250", "0.500 / 0.250"]
    assert [row[:2] for row in leakage[1:4]] == [["first", "0.900"], ["first: pixels", "0.300"], ["first: random", "–"]]
    assert differences[1] == ["first – second", "linear", "accuracy", "+0.100 (+0.050 to +0.150)", "yes"]
