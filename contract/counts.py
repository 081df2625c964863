"""Counts with their noun, in sentences for people."""


def counted(count: float, noun: str, form: str = ",") -> str:
    """Write a number and its noun, which has an s unless the number reads 1: "1 epoch", "2,000 steps"."""
    number = format(count, form)
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"
