"""What the nats of a model's maps are worth, measured on held-out images with the exported graphs."""

from dataclasses import dataclass

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from contract.card import Calibration
from training.serving_critic import JOINT

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Encoded:
    """Outputs of encoder.onnx for N images: features [N, C, M, M], code [N, Y]."""

    features: Floats
    code: Floats


def encode(session: onnxruntime.InferenceSession, pixels: NDArray[np.uint8], batch: int = 500) -> Encoded:
    """Run encoder.onnx over uint8 [N, H, W, 3]."""
    parts = [
        session.run(["features", "code"], {"image": pixels[start : start + batch]})
        for start in range(0, len(pixels), batch)
    ]
    return Encoded(*(np.concatenate(layer) for layer in zip(*parts, strict=True)))


def measure(
    encoder: onnxruntime.InferenceSession,
    critic: onnxruntime.InferenceSession,
    pixels: NDArray[np.uint8],
    other_bank: NDArray[np.float32],
    *,
    bank_size: int,
    split: str,
    batch: int = 500,
) -> Calibration:
    """Measure every figure of `contract.card.Calibration` on held-out images.

    Args:
        encoder, critic: sessions over the exported graphs.
        pixels: uint8 [N, H, W, 3], images that neither encoder nor critic saw.
        other_bank: codes float32 [K, Y] of training images outside the critic's bank.
        bank_size: codes in the critic's own bank.
        split: name of these images for the card.
        batch: images per run.
    """
    encoded = encode(encoder, pixels)
    mirrored = encode(encoder, np.ascontiguousarray(pixels[:, :, ::-1]))
    other_global = _project_codes(critic, other_bank, encoded.features[:1])
    per_image, lower, shuffled_mean, bank_shift, auc, flip = [], [], [], [], [], []
    for start in range(0, len(pixels), batch):
        rows = slice(start, start + batch)
        features, code = encoded.features[rows], encoded.code[rows]
        maps, local, global_, normaliser = critic.run(
            ["mi_map", "local", "global", "local_log_normaliser"], {"features": features, "code": code}
        )
        shuffled = np.einsum("numk,nu->nmk", local, np.roll(global_, 1, axis=0)) - normaliser
        flipped = critic.run(["mi_map"], {"features": mirrored.features[rows], "code": mirrored.code[rows]})[
            0
        ]
        per_image.append(maps.mean(axis=(1, 2)))
        lower.append(_with_own_image_in_bank(maps, bank_size).mean(axis=(1, 2)))
        shuffled_mean.append(shuffled.mean())
        bank_shift.append((_log_mean_exp(local, other_global) - normaliser).mean())
        auc.append(_auc(maps.ravel(), shuffled.ravel()))
        flip.append(np.abs(flipped[:, :, ::-1] - maps).mean())
    image_means = np.concatenate(per_image)
    return Calibration(
        joint=JOINT,
        estimator="infonce",
        bank=bank_size,
        mi_nats=float(image_means.mean()),
        mi_standard_error=float(image_means.std(ddof=1) / np.sqrt(len(image_means))),
        bank_error_nats=float(abs(np.mean(bank_shift))),
        lower_bound_nats=float(np.concatenate(lower).mean()),
        shuffled_nats=float(np.mean(shuffled_mean)),
        joint_auc=float(np.mean(auc)),
        flip_error_nats=float(np.mean(flip)),
        images=len(pixels),
        split=split,
    )


def _project_codes(critic: onnxruntime.InferenceSession, codes: Floats, features: Floats) -> Floats:
    """The critic's global projections [K, U] of codes [K, Y]; the features only fill the other input."""
    parts = [
        critic.run(["global"], {"features": np.repeat(features, len(chunk), axis=0), "code": chunk})[0]
        for chunk in np.array_split(codes, max(1, len(codes) // 256))
    ]
    return np.concatenate(parts)


def _log_mean_exp(local: Floats, global_: Floats) -> Floats:
    """log mean_j exp <local, global_j>: [N, U, M, M] and [K, U] to [N, M, M]."""
    patches = local.reshape(*local.shape[:2], -1).swapaxes(1, 2)
    scores = patches @ global_.T
    peak = scores.max(axis=2, keepdims=True)
    mean: Floats = np.log(np.exp(scores - peak).mean(axis=2)) + peak[:, :, 0]
    return mean.reshape(len(local), *local.shape[2:])


def _with_own_image_in_bank(maps: Floats, bank_size: int) -> Floats:
    """InfoNCE's log share: the own code joins the bank, so the mean is a lower bound, at most log(K + 1)."""
    bound: Floats = np.log(bank_size + 1) - np.logaddexp(0.0, np.log(bank_size) - maps)
    return bound


def _auc(positive: Floats, negative: Floats) -> float:
    """Probability that a positive exceeds a negative, ties counted half (Mann and Whitney 1947)."""
    order = np.sort(negative)
    below = np.searchsorted(order, positive, side="left")
    not_above = np.searchsorted(order, positive, side="right")
    return float((below + not_above).mean() / (2 * len(negative)))
