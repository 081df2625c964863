"""One image with the outputs of the exported graphs, for the self-test of the service."""

import base64
from io import BytesIO

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from contract.card import Golden, Int8Golden
from training.export.onnx_files import session_of

_TOLERANCE = 1e-3
# Times what rounding was seen to do here.
_MARGIN = 2
# For outputs that rounding happened not to touch.
_LEAST_INT8_TOLERANCE = 1e-3
Floats = NDArray[np.float32]


def golden(
    encoder: onnxruntime.InferenceSession, critic: onnxruntime.InferenceSession, picture: NDArray[np.uint8]
) -> Golden:
    """Compute the outputs of both graphs for one image, uint8 [H, W, 3]."""
    png = BytesIO()
    Image.fromarray(picture).save(png, "PNG")
    embedding, code, mi_map = _outputs(encoder, critic, picture[None])
    return Golden(
        image_base64=base64.b64encode(png.getvalue()).decode(),
        embedding=tuple(embedding[0].tolist()),
        code=tuple(code[0].tolist()),
        mi_map=tuple(tuple(row) for row in mi_map[0].tolist()),
        tolerance=_TOLERANCE,
    )


def int8_golden(
    encoder: onnx.ModelProto, critic: onnxruntime.InferenceSession, pictures: NDArray[np.uint8]
) -> Int8Golden:
    """Compute the outputs of an int8 encoder and the critic for the first of some images, uint8 [N, H, W, 3].

    Its sums of whole numbers are the same on every machine. What may differ is to which of two neighbours a
    number is rounded between layers; the tolerances are twice what that is seen to do to these images when
    the graph is computed in floats, as a provider without 8-bit kernels computes it.
    """
    here = _outputs(session_of(encoder), critic, pictures)
    in_floats = _outputs(session_of(encoder, optimised=False), critic, pictures)
    embedding, code, mi_map = (
        max(_LEAST_INT8_TOLERANCE, _MARGIN * float(np.abs(one - other).max()))
        for one, other in zip(here, in_floats, strict=True)
    )
    return Int8Golden(
        embedding=tuple(here[0][0].tolist()),
        code=tuple(here[1][0].tolist()),
        mi_map=tuple(tuple(row) for row in here[2][0].tolist()),
        embedding_tolerance=embedding,
        code_tolerance=code,
        mi_map_tolerance=mi_map,
    )


def _outputs(
    encoder: onnxruntime.InferenceSession, critic: onnxruntime.InferenceSession, pictures: NDArray[np.uint8]
) -> tuple[Floats, Floats, Floats]:
    """Compute embeddings [N, D], codes [N, Y] and maps [N, M, M]."""
    embedding, code, features = encoder.run(["embedding", "code", "features"], {"image": pictures})
    (mi_map,) = critic.run(["mi_map"], {"features": features, "code": code})
    return embedding, code, mi_map
