"""Names of the files in a run's folder."""

CHECKPOINT = "checkpoint.pt"
RECIPE = "recipe.json"
