"""Decides whether fixes must be worked out again: not for the same findings in the same files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from verifier.cache import seen
from verifier.cache.codec import NotPlainError, finding_to_json, seen_from_json, seen_to_json
from verifier.cache.identity import digest_of
from verifier.cache.outcomes import can_be_kept, config_row, file_row
from verifier.cache.unchanged import still_true
from verifier.selection import rest_of_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from verifier.model.fix import Fix
    from verifier.model.stage import Reported
    from verifier.model.task import Config
    from verifier.sources import SourceTree

Offer = list[Any]  # safety or None, and the diff


def kept_offers(
    wanted: Sequence[Reported],
    fixes: Iterable[Fix],
    config: Config,
    sources: SourceTree,
    work_out: Callable[[], list[Offer]],
) -> list[Offer]:
    """Return what `work_out` returns, from the cache where it would return the same again."""
    cache = sources.cache
    ours = cache is not None and all(fix.repair.__module__.partition(".")[0] in cache.packages for fix in fixes)
    if cache is None or not ours or not can_be_kept(sources):
        return work_out()
    try:
        rows = [[finding_to_json(item.finding), item.fingerprint] for item in wanted]
    except NotPlainError:
        return work_out()
    key = [cache.identity, str(config.root), config_row(config), [file_row(file) for file in sources], rows]
    name = f"fixes-{digest_of(key)[:40]}.json"
    kept = cache.store.read(name)
    try:
        noted = None if kept is None else seen_from_json(kept["seen"])
        if noted is not None and still_true(noted, lambda: seen.rest_digest(rest_of_project(config, sources))):
            return [[safety, diff] for safety, diff in kept["offers"]]
    except (KeyError, TypeError, ValueError, AttributeError):  # whole, and yet not of our making
        pass
    seen.start()
    try:
        offers = work_out()
    finally:
        now = seen.stop()
    if not now.spoiled:
        cache.store.write(name, {"offers": offers, "seen": seen_to_json(now)})
    return offers
