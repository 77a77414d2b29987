"""The journeys of data: readable lists of calls into the feature packages."""
