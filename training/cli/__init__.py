"""Commands of the offline half, one file each.

A serving machine reads this table too and has no torch: what needs it is imported when a command runs.
Nothing imports this room but the root command.
"""

from contract.command_table import Command

COMMANDS = {
    "train": Command("training.cli.train:train", "Train an encoder."),
    "probe": Command(
        "training.cli.probe:probe", "Measure what a run's encoder or an exported model is worth."
    ),
    "measure": Command("training.cli.measure:measure", "Measure what a frozen encoder's code says."),
    "report": Command("training.cli.report:report", "Write report.html into a run's folder."),
    "utility": Command("training.cli.utility:utility", "Say what pretraining is worth in labels."),
    "reproduce": Command(
        "training.cli.reproduce:reproduce", "Repeat the paper's comparisons at one budget for all."
    ),
    "ablate": Command("training.cli.ablate:ablate", "Measure what each trick of a recipe is worth."),
    "export": Command(
        "training.cli.export:export", "Write a run's encoder as a model folder that can be served."
    ),
    "quantise": Command(
        "training.cli.quantise:quantise",
        "Write a new version of an exported model that has its encoder in 8 bits too.",
    ),
    "convert-cifar": Command(
        "training.cli.convert_cifar:convert_cifar",
        "Convert the official CIFAR-10 archive to Parquet files with lossless images.",
    ),
}
