"""The resources of the admin API."""
