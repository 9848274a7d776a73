"""Specimens of the synthetic data set, drawn as colour and height under one lamp."""
