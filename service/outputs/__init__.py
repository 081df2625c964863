"""From answers to a response's body, in the format that the client accepts."""
