"""The parent process and its workers: start, supervision, stop.

Only `cli` imports this room.
"""
