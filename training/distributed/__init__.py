"""Several processes that train one model.

Nothing here knows the model.
"""
