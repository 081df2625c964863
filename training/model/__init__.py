"""Deep InfoMax as modules: encoders, critics, estimators, objectives, priors.

Nothing of files, runs or reports enters here.
"""
