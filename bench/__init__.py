"""Measurements that are too long for tests; nothing here is installed or served."""
