"""Root package: the `infomax` command.

It knows both halves by their tables of commands alone, and neither imports it. This file imports nothing,
so that what lies beside it, such as a client, loads without the rest.
"""
