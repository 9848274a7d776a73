"""Hydra's launchers for sweeps of padim, on SLURM and on this machine: conf/hydra/launcher chooses their values.

Hydra finds this package because it lies in the namespace ``hydra_plugins``, which therefore has no ``__init__.py``; it
imports all modules without an underscore at every start of every command, so they import neither torch nor submitit.
"""
