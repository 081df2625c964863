"""A recipe for images of one's own: what is chosen by their number and size, the time and the machine."""
