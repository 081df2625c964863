"""The served critic: known mutual information comes out, through the very graph that is exported."""

import math

import numpy as np
import onnxruntime
import torch
from torch import Generator, Tensor

from training.export.critic_fitting import fit
from training.export.graphs import CriticGraph
from training.export.onnx_files import check_equal, convert
from training.model.serving_critic import ServingCritic, held_out_bound

RHO, DIMENSIONS = 0.7, 2
TRUE_NATS = -DIMENSIONS / 2 * math.log(1 - RHO**2)


def gaussians(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Correlated Gaussians as a map of one patch, [N, 2, 1, 1], and a code, [N, 2]."""
    generator = Generator().manual_seed(seed)
    code = torch.randn(count, DIMENSIONS, generator=generator)
    noise = torch.randn(count, DIMENSIONS, generator=generator)
    return (RHO * code + math.sqrt(1 - RHO**2) * noise).view(count, DIMENSIONS, 1, 1), code


def test_the_map_recovers_the_known_information_of_gaussians() -> None:
    features, code = gaussians(20_000, seed=0)
    critic, bound = fit(features, code, gaussians(4_000, seed=1), seed=0, epochs=6, positions=1)
    graph = CriticGraph(critic, code[:1024])
    fresh_features, fresh_code = gaussians(4_000, seed=2)
    with torch.no_grad():
        maps = graph(fresh_features, fresh_code)[0]
    assert abs(float(maps.mean()) - TRUE_NATS) < 0.06
    assert abs(bound - TRUE_NATS) < 0.06
    x, y = fresh_features.flatten(1), fresh_code
    exact = -math.log(1 - RHO**2) / 2 - (RHO**2 * (x**2 + y**2) - 2 * RHO * x * y) / (2 * (1 - RHO**2))
    correlation = np.corrcoef(maps.flatten().numpy(), exact.sum(dim=1).numpy())[0, 1]
    assert correlation > 0.97


def test_independent_variables_share_nothing() -> None:
    features, _ = gaussians(8_000, seed=3)
    _, code = gaussians(8_000, seed=4)
    critic, _ = fit(features, code, (features[:1000], code[1000:2000]), seed=0, epochs=2, positions=1)
    with torch.no_grad():
        maps = CriticGraph(critic, code[:512])(features[4000:], code[4000:])[0]
    assert abs(float(maps.mean())) < 0.05


def test_the_exported_graph_equals_the_formula_and_pytorch() -> None:
    torch.manual_seed(0)
    critic = ServingCritic(channels=6, code_units=5, units=8)
    bank, features, code = torch.randn(32, 5), torch.randn(7, 6, 4, 4), torch.randn(7, 5)
    graph = CriticGraph(critic, bank).eval()
    model = convert(graph, (features, code), ("features", "code"), graph.OUTPUTS)
    check_equal(model, graph, (features, code))
    with torch.no_grad():
        mi_map, local, global_, normaliser = graph(features, code)
        bank_global = critic.project_global(bank)
    scores = torch.stack([local[2, :, 1, 3] @ other for other in bank_global])
    torch.testing.assert_close(normaliser[2, 1, 3], torch.logsumexp(scores, 0) - math.log(32))
    torch.testing.assert_close(mi_map[2, 1, 3], local[2, :, 1, 3] @ global_[2] - normaliser[2, 1, 3])


def test_extreme_scores_stay_finite_in_the_graph() -> None:
    torch.manual_seed(0)
    critic = ServingCritic(channels=6, code_units=5, units=8)
    graph = CriticGraph(critic, torch.randn(32, 5) * 1e3).eval()
    features, code = torch.randn(3, 6, 4, 4) * 1e3, torch.randn(3, 5) * 1e3
    model = convert(graph, (features, code), ("features", "code"), graph.OUTPUTS)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {"features": features.numpy(), "code": code.numpy()})
    assert abs(outputs[1]).max() > 100
    assert all(np.isfinite(output).all() for output in outputs)


def test_the_bound_never_exceeds_the_logarithm_of_the_batch() -> None:
    features, code = gaussians(1_000, seed=5)
    torch.manual_seed(0)
    assert held_out_bound(ServingCritic(2, 2), features, code, batch_size=50) <= math.log(50)
