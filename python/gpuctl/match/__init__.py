"""Matching: does what a job asks for fit what a node has, and if not, why not."""
