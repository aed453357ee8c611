"""A pytest plugin for the automatic checks: a skipped test of a kind in `REQUIRED` fails; skips go unread there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

REQUIRED = ("browser", "javascript", "site")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Report a skipped test of a required kind as failed, with the reason it gave for skipping."""
    report = yield
    kind = next(filter(item.get_closest_marker, REQUIRED), None)
    if report.skipped and kind and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"a {kind} test may not be skipped here. {reason}"
    return report
