"""Whether maps say what they claim: deletion and insertion, planted quadrants, half and half, reliability.

Everything here runs on the graphs of a model folder, as the service does, and on images that nothing was
fitted to.
"""
