"""One map as JSON."""

import json

import numpy as np

from contract.map_kinds import MapKind
from service.inference.maps import PatchMap
from service.outputs.json import dump
from service.outputs.mi_maps import map_json


def test_patches_above_the_ceiling_are_listed() -> None:
    values = np.array([[1, 8, 2], [9, 3, 7]], np.float32)
    written = json.loads(dump(map_json(PatchMap(MapKind.INFORMATION, values, ceiling=6.9))))
    assert written["above_ceiling"] == [[0, 1], [1, 0], [1, 2]]
    assert written["nats"] == values.tolist()
