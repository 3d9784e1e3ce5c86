import json
import math

import numpy as np

from ferkit.evaluation.intervals import Interval
from ferkit.probing.report import Comparison, LeakageSection, MetricValue, as_json


def test_json_holds_what_can_be_read_and_nothing_of_memory():
    figure = MetricValue("accuracy", 0.5, (0.25, math.nan), 3, statistic=len, people=("x",))
    told = as_json(LeakageSection("words", (figure,), {"pixels": ()}))
    plain = {"name": "accuracy", "value": 0.5, "interval": [0.25, None], "groups": 3, "chance": None, "by_seed": []}
    assert told == {"protocol": "words", "figures": [plain], "baselines": {"pixels": []}, "left_out": {}}
    assert json.loads(json.dumps(told)) == told


def test_numbers_of_numpy_become_plain():
    assert as_json({"a": np.float32(0.5), "b": np.arange(2), "c": np.bool_(True)}) == {"a": 0.5, "b": [0, 1], "c": True}
    told = as_json(Comparison("linear", "accuracy", "a", "b", Interval(0.1, 0.0, 0.2, 4)))
    assert told["difference"] == {"value": 0.1, "low": 0.0, "high": 0.2, "groups": 4}
