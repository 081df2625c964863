"""Commands of the online half, one file each.

A training machine reads this table too and has no web server: each command is imported when it runs. Nothing
imports this room but the root command.
"""

from contract.command_table import Command

COMMANDS = {
    "serve": Command("service.cli.serve:serve", "Serve the model over HTTP until Ctrl-C or SIGTERM."),
    "settings": Command(
        "service.cli.settings:settings",
        "Print every setting with its present value, its default and what it does.",
    ),
    "doctor": Command(
        "service.cli.doctor:doctor",
        "Check whether this machine can serve the model, and say what to do where it cannot.",
    ),
    "embed": Command(
        "service.cli.embed:embed",
        "Embed images into files, in this process, by a service, or by a Ray cluster.",
    ),
    "models": Command("service.cli.models:models", "List, show and compare the models of a folder."),
    "index": Command(
        "service.cli.index:index",
        "Export, import, measure and clear the index, with or without a running service.",
    ),
    "reindex": Command(
        "service.cli.reindex:reindex",
        "Embed the images of the index by another model, beside the old vectors, which serve meanwhile.",
    ),
    "key": Command("service.cli.key:key", "API keys for those who may use the service."),
}
