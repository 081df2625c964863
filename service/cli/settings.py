"""`infomax settings`."""

from contract.table import print_table
from service.cli.setting_options import default_text, with_settings
from service.settings import PREFIX, Settings


@with_settings()
def settings(settings: Settings) -> None:
    """Print every setting with its present value, its default and what it does."""
    rows = [
        (
            PREFIX + name.upper(),
            _shown(getattr(settings, name)),
            default_text(name),
            field.description or "",
        )
        for name, field in Settings.model_fields.items()
    ]
    print_table(("variable", "value", "default", "what"), rows)


def _shown(value: object) -> str:
    # A SecretStr shows itself as asterisks.
    return "" if value is None else str(value)
