"""The segment rule language: text to a checked tree, and back to text."""
