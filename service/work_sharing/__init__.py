"""Workers that answer parts of each other's streams: load table, protocol, client and server.

HTTP has no place here.
"""
