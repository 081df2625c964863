"""Graphs are proved to compute what PyTorch computes, for one image and for many."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from contract.artefact import weights_sha256
from training.errors import ExportError
from training.export.graphs import EncoderGraph
from training.export.onnx_files import check_equal, convert, digest
from training.model.encoders import ENCODERS, layer_shapes
from training.model.encoders.embedding import EmbeddingHead


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x * self.factor,)


def scaled(factor: float) -> onnx.ModelProto:
    return convert(Scaled(factor), (torch.ones(2, 3),), ("x",), ("y",))


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_of_the_registry_can_be_exported(name: str) -> None:
    torch.manual_seed(0)
    encoder = ENCODERS[name](16)
    size = encoder.input_size
    units = layer_shapes(encoder).fc.shape[1]
    graph = EncoderGraph(encoder, "fc", EmbeddingHead(units)).eval()
    pixels = torch.randint(0, 256, (5, size, size, 3), dtype=torch.uint8)
    model = convert(graph, (pixels[:2],), ("image",), graph.OUTPUTS)
    check_equal(model, graph, (pixels,))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == "tensor(uint8)"
    (embedding,) = session.run(["embedding"], {"image": pixels.numpy()})
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)


def test_a_difference_beyond_the_limit_is_refused_and_one_within_it_is_not() -> None:
    examples = (torch.ones(4, 3),)
    check_equal(scaled(1.0), Scaled(1.0 + 5e-5), examples)
    with pytest.raises(ExportError, match=r"'y' of the ONNX graph differs .* by 0\.0002"):
        check_equal(scaled(1.0), Scaled(1.0 + 2e-4), examples)


def test_no_number_is_no_agreement() -> None:
    with pytest.raises(ExportError, match="by nan"):
        check_equal(scaled(float("nan")), Scaled(1.0), (torch.ones(4, 3),))


def test_the_digest_is_of_the_weights_and_not_of_the_metadata() -> None:
    first, same, other = scaled(1.0), scaled(1.0), scaled(2.0)
    onnx.helper.set_model_props(same, {"infomax.card": "{}"})
    assert digest(first, "a.onnx").sha256 == weights_sha256(same)
    assert weights_sha256(first) != weights_sha256(other)


def test_the_file_says_nothing_about_the_machine_that_wrote_it() -> None:
    assert b".py" not in scaled(1.0).SerializeToString()
