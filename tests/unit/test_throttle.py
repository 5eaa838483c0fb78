"""Sign-in attempts are counted before the password is looked at, slow their sender down, and lock nobody out."""

from console.throttle import COUNTS_MAX, OF_ACCOUNT, OF_ADDRESS, OVERALL, SignInThrottle


def tries_in(throttle: SignInThrottle, account: str, address: str, device: str, seconds: int) -> int:
    """How many tries get through when one is made every tenth of a second."""
    return sum(throttle.wait_s(account, address, device, tenth / 10) == 0 for tenth in range(seconds * 10))


def test_a_hundred_at_once_get_no_more_tries_than_the_burst() -> None:
    throttle = SignInThrottle()
    assert [throttle.wait_s("owner", "10.0.0.9", "", 0.0) == 0 for _ in range(100)].count(True) == OF_ACCOUNT.burst


def test_further_tries_come_ever_slower_and_the_wait_has_an_end() -> None:
    throttle = SignInThrottle()
    assert tries_in(throttle, "owner", "10.0.0.9", "", 600) < 30
    assert 0 < throttle.wait_s("owner", "10.0.0.9", "", 600.0) <= OF_ACCOUNT.interval_s_max
    assert throttle.wait_s("owner", "10.0.0.9", "", 600.0 + OF_ACCOUNT.interval_s_max) == 0


def test_who_guesses_elsewhere_does_not_keep_the_owner_out() -> None:
    throttle = SignInThrottle()
    tries_in(throttle, "owner", "10.0.0.9", "", 60)
    assert throttle.wait_s("owner", "10.0.0.1", "", 60.0) == 0


def test_behind_one_address_a_browser_that_has_signed_in_before_is_let_in() -> None:
    throttle = SignInThrottle()
    for number in range(1000):
        throttle.wait_s(f"account-{number % 40}", "10.0.0.9", "", number / 100)
    throttle.wait_s("owner", "10.0.0.9", "", 10.0)
    assert throttle.wait_s("owner", "10.0.0.9", "", 10.0) > 0
    assert throttle.wait_s("owner", "10.0.0.9", "the owner's browser", 10.0) == 0


def test_one_address_and_all_together_have_a_pace_too() -> None:
    throttle = SignInThrottle()
    from_one = sum(throttle.wait_s(f"account-{n}", "10.0.0.9", "", 0.0) == 0 for n in range(200))
    assert from_one == OF_ADDRESS.burst
    spread = sum(throttle.wait_s(f"account-{n}", f"10.0.1.{n}", "", 0.0) == 0 for n in range(200))
    assert from_one + spread == OVERALL.burst


def test_a_right_password_begins_the_accounts_count_anew() -> None:
    throttle = SignInThrottle()
    for _ in range(OF_ACCOUNT.burst):
        throttle.wait_s("owner", "10.0.0.1", "", 0.0)
    assert throttle.wait_s("owner", "10.0.0.1", "", 0.0) > 0
    throttle.succeeded("owner", "10.0.0.1", "")
    assert throttle.wait_s("owner", "10.0.0.1", "", 0.0) == 0


def test_invented_names_do_not_fill_the_memory() -> None:
    throttle = SignInThrottle()
    for number in range(3 * COUNTS_MAX):
        throttle.wait_s(f"account-{number}", f"address-{number}", f"device-{number}", 0.0)
    assert len(throttle._counts) <= COUNTS_MAX
