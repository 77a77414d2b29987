"""Datasets, datastreams and inlets."""
