"""Pairs of pictures that differ in one thing."""
