"""Other methods of self-supervised learning, at the price of one of our recipes."""
