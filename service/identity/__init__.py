"""Namespaces, identity map, graph and linking rules."""
