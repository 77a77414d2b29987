"""Actions, capping, dispatch and vendors."""
