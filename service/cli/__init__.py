"""The command ``edgepost``."""
