"""Runs elsewhere: other processes, Slurm."""
