"""What claim files are written in. Imports neither torch nor pandas."""

from reproductions.harness.claim import Claim, Exact, Scale, SpeedUp, Sweep, Variant

__all__ = ["Claim", "Exact", "Scale", "SpeedUp", "Sweep", "Variant"]
