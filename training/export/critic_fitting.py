"""Fitting of the served critic on the frozen encoder, stopped where the bound on held-out images is best."""

import copy
import math

import numpy as np
import torch
from torch import Generator, Tensor

from contract.progress import Progress
from training.data.image_set import sample_rows
from training.model.serving_critic import ServingCritic, held_out_bound, infonce_loss

_STANDARDISED_ON = 5_000
# Patches and epochs that the held-out bound is measured with at most: with more it costs more than the fit.
_BOUND_POSITIONS = 64
_BOUNDS = 50


def fit(
    features: Tensor,
    code: Tensor,
    held_out: tuple[Tensor, Tensor],
    *,
    seed: int,
    epochs: int = 12,
    batch_size: int = 512,
    positions: int = 16,
) -> tuple[ServingCritic, float]:
    """Fit a critic on frozen features [N, C, M, M] and codes [N, Y].

    Returns:
        The critic of the epoch with the best held-out InfoNCE bound, and that bound in nats
        (with `batch_size` - 1 negatives).
    """
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed)
    critic = ServingCritic(features.shape[1], code.shape[1])
    rows = torch.from_numpy(sample_rows(len(code), _STANDARDISED_ON, seed))
    critic.standardise(features[rows], code[rows])
    # The bound compares images of one batch, so batches of sorted images would hold one class each.
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(held_out[1])))
    places = torch.from_numpy(sample_rows(features[0, 0].numel(), _BOUND_POSITIONS, seed))
    shuffled = held_out[0].flatten(2)[order][:, :, places].unsqueeze(3), held_out[1][order]
    apart = -(-epochs // _BOUNDS)
    batch_size = min(batch_size, len(code))
    steps = epochs * (len(code) // batch_size)
    optimiser = torch.optim.AdamW(critic.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    flat = features.flatten(2)
    best_bound, best = -math.inf, copy.deepcopy(critic.state_dict())
    with Progress("critic") as progress:
        for epoch in range(epochs):
            order = torch.randperm(len(code), generator=generator)
            for rows in order[: len(order) // batch_size * batch_size].split(batch_size):
                chosen = torch.randint(flat.shape[2], (positions,), generator=generator)
                # In one step: the whole maps of the rows would be copied first.
                patches = flat[rows.unsqueeze(1), :, chosen].transpose(1, 2).unsqueeze(3)
                loss = infonce_loss(critic, patches, code[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            if (epoch + 1) % apart and epoch + 1 < epochs:
                continue
            bound = held_out_bound(critic, *shuffled, batch_size)
            progress.update(epoch + 1, epochs, f"held-out bound {bound:.3f} nats")
            if bound > best_bound:
                best_bound, best = bound, copy.deepcopy(critic.state_dict())
    critic.load_state_dict(best)
    return critic.eval(), best_bound
