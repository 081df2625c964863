"""API keys, their quotas, and the file of what each has used.

The room `http` reads the key from a request.
"""
