"""Commands of the online half, one file each.

Nothing imports this room but the root command.
"""
