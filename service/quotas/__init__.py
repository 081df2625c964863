"""API keys and what each of them has used.

How a key comes with a request is the concern of `http`.
"""
