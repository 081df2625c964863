"""Encoding in evaluation mode: the same however many images come at once, and the mode is left as it was."""

from pathlib import Path
from typing import Any

import pytest
import torch

from contract.preprocessing import Preprocessing
from training.data import load
from training.evaluation import encoding
from training.evaluation.encoding import encode, encodings
from training.model.encoders import build_encoder
from training.recipe import EncoderRecipe


def test_encoding_in_parts_equals_encoding_at_once_and_leaves_the_mode(
    sample_test: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    encoder = build_encoder(EncoderRecipe(name="dim32", code_units=16), 32).train()
    pixels = torch.from_numpy(load(sample_test, Preprocessing(height=32, width=32)).pixels[:])
    whole = encode(encoder, pixels)
    monkeypatch.setattr(encoding, "_MOST_IMAGES", 7)
    parts = encode(encoder, pixels)
    for part, at_once in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, at_once, atol=1e-5, rtol=1e-5)
    assert encoder.training


def test_whoever_stops_half_way_leaves_the_mode_too() -> None:
    encoder = build_encoder(EncoderRecipe(name="dim32", code_units=16), 32).train()
    batches: Any = encodings(encoder, torch.zeros(2, 32, 32, 3, dtype=torch.uint8))
    next(batches)
    batches.close()
    assert encoder.training
