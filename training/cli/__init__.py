"""Commands of the offline half, one file each.

A serving machine reads this table too and has no torch: what needs it is imported when a command runs.
Nothing imports this room but the root command.
"""

from contract.command_table import Command

_NEEDED = ("torch", "tensorboard", "onnxscript")


def _command(target: str, summary: str) -> Command:
    return Command(f"training.cli.{target}", summary, _NEEDED, "training", "PyTorch")


COMMANDS = {
    # It announces that itself, and refuses a wrong path before.
    "train": _command("train:train", "Train an encoder.")._replace(slow=""),
    "probe": _command("probe:probe", "Measure what a run's encoder or an exported model is worth."),
    "validate-maps": _command(
        "validate_maps:validate_maps", "Validate what the maps of an exported model claim."
    ),
    "validate-neighbours": _command(
        "validate_neighbours:validate_neighbours",
        "Measure from which cosine on the neighbours of an exported model are right.",
    ),
    "measure": _command("measure:measure", "Measure what a frozen encoder's code says."),
    "report": _command("report:report", "Write report.html into a run's folder."),
    "utility": _command("utility:utility", "Say what pretraining is worth in labels."),
    "reproduce": _command("reproduce:reproduce", "Repeat the paper's comparisons at one budget for all."),
    "ablate": _command("ablate:ablate", "Measure what each trick of a recipe is worth."),
    "export": _command("export:export", "Write a run's encoder as a model folder that can be served."),
    "adopt": _command("adopt:adopt", "Make a model of an encoder that was trained elsewhere."),
    "quantise": _command(
        "quantise:quantise", "Write a new version of an exported model that has its encoder in 8 bits too."
    ),
    "convert-cifar": Command(
        "training.cli.convert_cifar:convert_cifar",
        "Convert the official CIFAR-10 archive to Parquet files with lossless images.",
    ),
}
