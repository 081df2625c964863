"""`infomax validate-maps`: whether the maps of an exported model say what they claim."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from contract.artefact import open_artefact
from contract.card import CARD_FILE
from contract.table import print_table
from training.cli.failures import plain_failures
from training.cli.options import SkipUnreadable
from training.data import images as decoded
from training.data import open_source
from training.evaluation.maps.subject import open_subject
from training.evaluation.maps.validation import Validation, validate
from training.export.measured_card import write_measures


def validate_maps(
    model: Annotated[Path, typer.Option(help="Model folder.")],
    test: Annotated[Path, typer.Option(help="Images that nothing was fitted to.")],
    images: Annotated[
        int, typer.Option(min=8, help="For deletion and insertion, and for each kind of planted quadrant.")
    ] = 200,
    pairs: Annotated[int, typer.Option(min=20, help="For half-and-half images and the reliability.")] = 1000,
    candidates: Annotated[
        bool, typer.Option("--candidates", help="Also measure methods that were tried and are not served.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of draws and noise.")] = 0,
    precision: Annotated[Literal["fp32", "int8"], typer.Option(help="Of the encoder.")] = "fp32",
    test_name: Annotated[str | None, typer.Option(help="Which images these are, in words.")] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write",
            help="State the figures in the model's card.json and README. A running service shows them once "
            "it loads the model again.",
        ),
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write all figures into this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the tables into this file.")] = None,
    skip_unreadable: SkipUnreadable = False,
) -> None:
    """Validate what the maps of an exported model claim.

    A bar that is missed is printed and changes no status.
    """
    with plain_failures():
        artefact = open_artefact(model)
        pixels = decoded.load_images(
            open_source(test), artefact.card.preprocessing, skip_unreadable=skip_unreadable
        ).pixels[:]
        found = validate(
            open_subject(artefact, pixels, precision),
            pixels,
            split=test_name or str(test),
            images=images,
            pairs=pairs,
            seed=seed,
            candidates=candidates,
        )
    tables = _tables(found)
    for head, rows in tables:
        print_table(head, rows)
    if write:
        with plain_failures():
            write_measures(artefact, precision, *found.for_card)
        typer.echo(f"{artefact.folder / CARD_FILE} states these figures.")
    if json is not None:
        json.write_text(found.model_dump_json(indent=2) + "\n")
    if markdown is not None:
        markdown.write_text("\n".join(map(_markdown, tables)))


Table = tuple[tuple[str, ...], list[tuple[str, ...]]]


def _tables(found: Validation) -> list[Table]:
    """Make the tables of attribution, of reliability and of bars."""
    return [
        (
            ("method", "deletion", "mean", "insertion", "mean", "noise", "grey", "photo"),
            [
                (
                    one.method,
                    *(
                        text
                        for curve in (one.deletion, one.insertion)
                        for text in (
                            " / ".join(f"{cosine:.2f}" for cosine in curve.cosines),
                            f"{curve.mean:.3f} ± {curve.standard_error:.3f}",
                        )
                    ),
                    *(f"{share:.0%}" for share in one.pointing.values()),
                )
                for one in found.attribution
            ],
        ),
        (
            ("claimed, nats", "observed", "own pairs", "other pairs", "above log K"),
            [
                (
                    f"{one.claimed:.2f}",
                    f"{one.observed:.2f} ± {one.standard_error:.2f}",
                    f"{one.own:,}",
                    f"{one.other:,}",
                    "yes" if one.above_ceiling else "",
                )
                for one in found.reliability
            ],
        ),
        (
            ("claim", "value", "at least", "holds"),
            [
                (
                    one.name,
                    f"{one.value:.3f} ± {one.standard_error:.3f}",
                    f"{one.bar:g}",
                    "yes" if one.met else "no",
                )
                for one in found.bars
            ],
        ),
    ]


def _markdown(table: Table) -> str:
    head, rows = table
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * len(head), *rows))
