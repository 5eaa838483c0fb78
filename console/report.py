"""What a shift came to, from the alerts that it had. Pure."""

from collections import Counter
from datetime import datetime
from statistics import median
from typing import Any


def shift_report(incidents: list[dict[str, Any]], notes: list[dict[str, Any]], start: str, end: str) -> dict[str, Any]:
    """Figures of the alerts raised from `start` until `end` (ISO 8601, UTC, one form), and those still open from before."""
    raised = [r for r in incidents if start <= r["raised"] < end]
    kept = [r for r in incidents if r["raised"] < start and r["status"] in ("open", "acknowledged", "assigned")]
    waited = [_seconds(r["raised"], r["acknowledged"]) for r in raised if r["acknowledged"]]
    return {
        "from": start,
        "to": end,
        "raised": len(raised),
        "by_severity": dict(Counter(r["severity"] for r in raised)),
        "by_kind": dict(Counter(r["reason"]["kind"] for r in raised)),
        "by_status": dict(Counter(r["status"] for r in raised)),
        "dispositions": dict(Counter(r["resolution"] for r in raised if r["resolution"])),
        "acknowledged": len(waited),
        "acknowledged_after_s_median": round(median(waited), 1) if waited else None,
        "acknowledged_after_s_max": round(max(waited), 1) if waited else None,
        "open": [r for r in [*kept, *raised] if r["status"] in ("open", "acknowledged", "assigned")],
        "notes": notes,
    }


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
