"""What the nats of a model's maps are worth, measured on held-out images with the exported graphs."""

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from contract.card import Calibration
from training.data.pixel_rows import PixelArray
from training.evaluation.frozen import FrozenEncoder
from training.export.score_scaling import UNSCALED, Scaling

Floats = NDArray[np.float32]
JOINT = "a patch C_i(x) and the code E(x) of the same unaugmented image"
# Each patch is scored against the whole bank.
_PATCHES_AT_ONCE = 32_000
# The standard error of a patch falls with the root of the bank, and its ceiling rises with the logarithm.
_BANK = 4096


def bank_size(training_images: int) -> int:
    """Choose the size of a bank of codes: two independent banks take half of the images at most."""
    return min(_BANK, max(1, training_images // 4))


def bank_rows(training_images: int, size: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows, each int64 [size], of the bank that a critic carries and of an independent one."""
    order = torch.randperm(training_images, generator=torch.Generator().manual_seed(seed)).numpy()
    return order[:size], order[size : 2 * size]


def measure(
    encoder: FrozenEncoder,
    critic: onnxruntime.InferenceSession,
    pixels: PixelArray,
    other_bank: Floats,
    *,
    bank_size: int,
    split: str,
    seed: int,
    scaling: Scaling = UNSCALED,
) -> Calibration:
    """Measure every figure of `contract.card.Calibration` on held-out images.

    Args:
        encoder: the one that the critic was fitted on.
        critic: session over the exported graph.
        pixels: uint8 [N, H, W, 3], at least 2 images that neither encoder nor critic saw.
        other_bank: codes float32 [K, Y] of training images outside the critic's bank.
        bank_size: codes in the critic's own bank.
        split: name of these images for the card.
        seed: of the pairs of different images.
        scaling: of the critic's graph.
    """
    outputs = ("features", "code")
    plain = encoder.encode(pixels, outputs)
    mirrored = encoder.encode(np.ascontiguousarray(pixels[:, :, ::-1]), outputs)
    others = plain["code"][other_rows(len(pixels), seed)]
    other_global = _project_codes(critic, other_bank, plain["features"][:1])
    maps, shuffled, bank_shift, flip_error = [], [], [], []
    size = max(1, _PATCHES_AT_ONCE // int(np.prod(plain["features"].shape[2:])))
    for start in range(0, len(pixels), size):
        rows = slice(start, start + size)
        features = plain["features"][rows]
        own, local, normaliser = critic.run(
            ["mi_map", "local", "local_log_normaliser"], {"features": features, "code": plain["code"][rows]}
        )
        flipped = _map(critic, mirrored["features"][rows], mirrored["code"][rows])
        maps.append(own)
        shuffled.append(_map(critic, features, others[rows]))
        bank_shift.append(_log_mean_exp(local, other_global) + scaling.offset - normaliser)
        flip_error.append(np.abs(flipped[:, :, ::-1] - own))
    joint, apart = np.concatenate(maps), np.concatenate(shuffled)
    # An offset that raises the maps does not raise their bound: the own code's part in it would stay.
    lowest = joint + np.float32(min(scaling.offset, 0.0))
    image_means = joint.mean(axis=(1, 2), dtype=np.float64)
    return Calibration(
        joint=JOINT,
        estimator="infonce",
        bank=bank_size,
        mi_nats=float(image_means.mean()),
        mi_standard_error=float(image_means.std(ddof=1) / np.sqrt(len(image_means))),
        bank_error_nats=abs(_mean(bank_shift)),
        lower_bound_nats=float(_with_own_image_in_bank(lowest, bank_size).mean(dtype=np.float64)),
        shuffled_nats=float(apart.mean(dtype=np.float64)),
        joint_auc=_auc(joint.ravel(), apart.ravel()),
        flip_error_nats=_mean(flip_error),
        images=len(pixels),
        split=split,
        temperature=None if scaling == UNSCALED else scaling.temperature,
        offset_nats=None if scaling == UNSCALED else scaling.offset,
    )


def other_rows(count: int, seed: int) -> NDArray[np.int64]:
    """Draw another row for each of `count` rows, all different, at least 2: int64 [count].

    The rows form one random cycle. Rows that lie beside each other are often of one class.
    """
    order = np.random.default_rng(seed).permutation(count)
    others = np.empty_like(order)
    others[order] = np.roll(order, 1)
    return others


def _map(critic: onnxruntime.InferenceSession, features: Floats, code: Floats) -> Floats:
    (mi_map,) = critic.run(["mi_map"], {"features": features, "code": code})
    result: Floats = mi_map
    return result


def _project_codes(critic: onnxruntime.InferenceSession, codes: Floats, features: Floats) -> Floats:
    """Project codes [K, Y] by the critic to [K, U]; the features only fill the other input."""
    parts = [
        critic.run(["global"], {"features": np.repeat(features, len(chunk), axis=0), "code": chunk})[0]
        for chunk in np.array_split(codes, max(1, len(codes) // 256))
    ]
    return np.concatenate(parts)


def _log_mean_exp(local: Floats, global_: Floats) -> Floats:
    """Compute log mean_j exp <local, global_j>: [N, U, M, M] and [K, U] to [N, M, M]."""
    patches = local.reshape(*local.shape[:2], -1).swapaxes(1, 2)
    scores = patches @ global_.T
    peak = scores.max(axis=2, keepdims=True)
    mean: Floats = np.log(np.exp(scores - peak).mean(axis=2)) + peak[:, :, 0]
    return mean.reshape(len(local), *local.shape[2:])


def _with_own_image_in_bank(maps: Floats, bank_size: int) -> Floats:
    """Let the own code join the bank, so that the mean is a lower bound, at most log(K + 1)."""
    bound: Floats = np.log(bank_size + 1) - np.logaddexp(0.0, np.log(bank_size) - maps)
    return bound


def _mean(batches: list[Floats]) -> float:
    return float(np.concatenate(batches).mean(dtype=np.float64))


def _auc(positive: Floats, negative: Floats) -> float:
    """Estimate the chance that a positive exceeds a negative, ties counted half (Mann and Whitney 1947)."""
    order = np.sort(negative)
    below = np.searchsorted(order, positive, side="left")
    not_above = np.searchsorted(order, positive, side="right")
    return float((below + not_above).mean() / (2 * len(negative)))
