"""What each trick of a recipe is worth: the recipe without it, over several seeds."""
