"""Which scale a command takes where none is named and no images decide it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from reproductions.harness.claims.claim import SCALES, Claim, planned_runs
from reproductions.harness.claims.runs import Key
from reproductions.harness.errors import BadDataError
from reproductions.harness.records.load import read_records
from reproductions.harness.records.paths import RESULTS


def begun_scales(claim: Claim, begun: Collection[Key]) -> list[str]:
    """The scales at which some run of the claim is among those begun, the most faithful first."""
    scales = [scale for scale in SCALES if scale in claim.scales]
    return [s for s in scales if any(run.key in begun for run in planned_runs(claim, s))]


def recorded_scale(claim: Claim, results: Path) -> str:
    """The most faithful scale with records in `results`, or else with committed ones.

    Where there are none it is the scale that asks least of a machine, on real images.
    """
    for folder in (results, RESULTS):
        keys = {item.record.key for item in read_records(folder)[0]}
        if found := begun_scales(claim, keys):
            return found[0]
    return [scale for scale in claim.scales if scale != "smoke"][-1]


def require_images(claims: Sequence[Claim], asked: dict[str, Any]) -> None:
    """Raise BadDataError, one line for all claims, where real images are missing."""
    from reproductions.harness.plan.choose_data import AbsentError, choose_data

    where = {name: asked.get(name) for name in ("scale", "data", "device")}
    gpu = asked.get("gpu", False) is not False
    alike: dict[Any, list[Claim]] = {}  # data sets are looked for once, not for every claim
    for claim in claims:
        scales = tuple((name, scale.datasets) for name, scale in claim.scales.items())
        alike.setdefault(scales, []).append(claim)
    lacking: dict[str, AbsentError] = {}
    for same in alike.values():
        try:
            choose_data(same[0], **where, pack=asked["pack"], gpu=gpu, without_images=None)
        except AbsentError as error:
            lacking |= {claim.name: error for claim in same}
    if lacking:
        first, *others = lacking
        more = f" and {len(others)} more claims" if others else ""
        raise BadDataError(
            f"no real images for {first}{more} ({lacking[first]}); `data prepare` packs them, "
            "--scale smoke takes built-in ones"
        )
