"""Tenancy: every fact belongs to one sandbox."""
