"""Speed and memory as ratios within one run, beside their targets: ``python -m experiments.benchmark``."""
