"""What surrounds every request: connections, time limits, authentication, deadlines, middleware.

No route and no model enters here.
"""
