"""Results of a run as Markdown."""

from bench.serving.contenders import OURS
from bench.serving.results import Measurement, Results, Spread
from bench.serving.rounds import IDLE


def markdown(results: Results) -> str:
    """Write a table for each scenario of single requests, one for all streams, and the skipped servers."""
    names = results.scenarios()
    single = [name for name in names if results.of(results.contenders(name)[0], name)[0].p99_ms is not None]
    streams = [name for name in names if name not in single]
    parts = [_limit(results)]
    parts += [_single(results, name) for name in single if name != IDLE]
    parts += [_idle(results)] if IDLE in single else []
    parts += [_streams(results, streams)] if streams else []
    parts.append(f"Anything else on the machine used up to {results.disturbance():.2f} cores meanwhile.")
    parts += [_skipped(results)] if results.skipped else []
    return "\n\n".join(parts) + "\n"


def images_of(scenario: str) -> str:
    """Find the image set of a scenario's limit."""
    return scenario.split(",", 1)[0].removeprefix("stream of ")


def _limit(results: Results) -> str:
    infer = Spread.of([limit.infer for limit in results.limits])
    rows = [["images", "decode, images/s", "infer, images/s", "limit, images/s", "transfer, core µs each"]]
    for name in results.limits[0].decode:
        decode = Spread.of([limit.decode[name] for limit in results.limits])
        transfer = Spread.of([1e6 * limit.transfer[name] for limit in results.limits])
        rows.append([name, _rate(decode), _rate(infer), _rate(results.limit(name)), _rate(transfer)])
    return _table(rows)


def _single(results: Results, scenario: str) -> str:
    limit = results.limit(images_of(scenario)).median
    rows = [
        [
            scenario,
            "requests/s",
            "of the limit",
            "p50, ms",
            "p99, ms",
            "errors",
            "core µs each",
            "cores: server",
            "load",
            "memory, MiB",
        ]
    ]
    for contender in results.contenders(scenario):
        found = results.of(contender, scenario)
        rate = Spread.of([one.rate for one in found])
        rows.append(
            [
                _name(contender),
                _rate(rate),
                f"{rate.median / limit:.0%}",
                _milliseconds([one.p50_ms or 0 for one in found]),
                _milliseconds([one.p99_ms or 0 for one in found]),
                str(sum(one.errors for one in found)),
                *_cost(found),
            ]
        )
    return _table(rows)


def _idle(results: Results) -> str:
    alone = Spread.of([limit.one_image_ms for limit in results.limits])
    rows = [[IDLE, "p50, ms", "above decode + infer, ms", "p99, ms"]]
    rows.append(["decode + infer, no server", _spread(alone, ".2f"), "", ""])
    for contender in results.contenders(IDLE):
        found = results.of(contender, IDLE)
        p50 = Spread.of([one.p50_ms or 0 for one in found])
        above = f"{p50.median - alone.median:.2f}"
        p99 = Spread.of([one.p99_ms or 0 for one in found])
        rows.append([_name(contender), _spread(p50, ".2f"), above, _spread(p99, ".2f")])
    return _table(rows)


def _streams(results: Results, names: list[str]) -> str:
    rows = [
        [
            "`/v1/batch`",
            "images/s",
            "of the limit",
            "errors",
            "core µs each",
            "cores: server",
            "client",
            "memory, MiB",
        ]
    ]
    for name in names:
        found = results.of(OURS, name)
        rate = Spread.of([one.rate for one in found])
        share = f"{rate.median / results.limit(images_of(name)).median:.0%}"
        rows.append([name, _rate(rate), share, str(sum(one.errors for one in found)), *_cost(found)])
    return _table(rows)


def _skipped(results: Results) -> str:
    lines = [f"- {name}: {reason}" for name, reason in results.skipped.items()]
    return "Not measured, or not in every round:\n\n" + "\n".join(lines)


def _cost(found: list[Measurement]) -> list[str]:
    each = [1e6 * one.server_cores / one.rate for one in found if one.rate]
    return [
        f"{Spread.of(each).median:,.0f}" if each else "",
        f"{Spread.of([one.server_cores for one in found]).median:.2f}",
        f"{Spread.of([one.client_cores for one in found]).median:.2f}",
        f"{Spread.of([one.memory_mib for one in found]).median:.0f}",
    ]


def _name(contender: str) -> str:
    return f"**{contender}**" if contender == OURS else contender


def _rate(spread: Spread) -> str:
    return _spread(spread, ",.0f" if spread.median >= 100 else ".1f")


def _milliseconds(values: list[float]) -> str:
    return _spread(Spread.of(values), ".0f" if min(values) >= 10 else ".1f")


def _spread(spread: Spread, form: str) -> str:
    return f"{spread.median:{form}} ({spread.least:{form}} to {spread.most:{form}})"


def _table(rows: list[list[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
