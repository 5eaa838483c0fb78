"""How often somebody may try to sign in: every try is counted before its password is looked at.

Wrong passwords slow their sender down and lock nobody out: a browser that has signed in before carries a device cookie, and
is counted by that and not by its address (OWASP, Slow Down Online Guessing Attacks with Device Cookies).
"""

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pace:
    """So many tries at once, then one an interval, which doubles with each further try up to the longest."""

    burst: int
    interval_s: float
    interval_s_max: float


OF_ACCOUNT = Pace(burst=5, interval_s=1.0, interval_s_max=30.0)  # of one account, from one address or device
OF_ADDRESS = Pace(burst=20, interval_s=1.0, interval_s_max=5.0)  # of any account, from one address
OVERALL = Pace(burst=50, interval_s=0.5, interval_s_max=0.5)
FORGET_S = 300.0  # without a try for this long, a count begins anew
COUNTS_MAX = 10_000  # addresses and accounts are the sender's to choose


@dataclass
class _Count:
    tries: int = 0
    last_s: float = 0.0
    next_s: float = 0.0


@dataclass
class SignInThrottle:
    """The counts of one console, for all its threads. In memory only: a restart begins them anew."""

    _counts: dict[tuple[str, ...], _Count] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, account: str, address: str, device: str, now_s: float) -> float:
        """Count one try. 0: the password may be looked at; otherwise how long to wait before the next, s.

        `device` is the device cookie's value where this account has signed in with it, else empty. A try that has to wait
        costs nothing and counts nowhere.
        """
        paces = self._paces(account, address, device)
        with self._lock:
            counts = {key: self._count(key, now_s) for key in paces}
            wait_s = max(count.next_s for count in counts.values()) - now_s
            if wait_s > 0:
                return wait_s
            for key, count in counts.items():
                count.tries, count.last_s = count.tries + 1, now_s
                beyond, pace = count.tries - paces[key].burst, paces[key]
                if beyond >= 0:
                    count.next_s = now_s + min(pace.interval_s * 2.0 ** min(beyond, 30), pace.interval_s_max)
        return 0.0

    def succeeded(self, account: str, address: str, device: str) -> None:
        """The password was right: this account's own count begins anew."""
        with self._lock:
            self._counts.pop(("account", account, device or address), None)

    @staticmethod
    def _paces(account: str, address: str, device: str) -> dict[tuple[str, ...], Pace]:
        own: dict[tuple[str, ...], Pace] = {("account", account, device or address): OF_ACCOUNT}
        return own if device else own | {("address", address): OF_ADDRESS, ("overall",): OVERALL}

    def _count(self, key: tuple[str, ...], now_s: float) -> _Count:
        count = self._counts.get(key)
        if count is None or now_s - count.last_s > FORGET_S:
            if len(self._counts) >= COUNTS_MAX:
                self._drop_oldest(now_s)
            count = self._counts[key] = _Count()
        return count

    def _drop_oldest(self, now_s: float) -> None:
        """Counts that have ended, and where that is not enough, the half that was tried longest ago."""
        kept = sorted((c.last_s, k) for k, c in self._counts.items() if now_s - c.last_s <= FORGET_S)
        self._counts = {k: self._counts[k] for _, k in kept[-COUNTS_MAX // 2 :]}
