"""Log lines that tell nothing are dropped; all others come through."""

from __future__ import annotations

import logging

import pytest

from lab.fitting.quiet import NOISE, quieten


@pytest.mark.parametrize("logger", NOISE)
def test_noise_is_dropped_and_news_is_not(logger: str, caplog: pytest.LogCaptureFixture) -> None:
    quieten()
    with caplog.at_level(logging.INFO, logger=logger):
        log = logging.getLogger(logger)
        log.addHandler(caplog.handler)
        log.info(f"{NOISE[logger][0]} and so on")
        log.info("something new")
        log.removeHandler(caplog.handler)
    assert {record.getMessage() for record in caplog.records} == {"something new"}
