"""Whole worker nodes for tests: see `compose.py`."""
