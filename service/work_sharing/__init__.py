"""Workers that answer parts of each other's streams: who is idle, what is asked, who answers.

Nothing here knows of HTTP.
"""
