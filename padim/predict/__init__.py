"""Predictions for files: from a path to a score, a decision, and where in the image it comes from."""
