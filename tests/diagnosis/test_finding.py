"""A finding as an event, and when it is over."""

from __future__ import annotations

from lab.diagnosis.finding import Family, Found


def test_a_rule_makes_findings_with_its_reasons_and_remedies() -> None:
    family = Family("speed")

    @family.rule("Because.", "this", "that", explains=("other",))
    def slow(evidence: object, limits: object) -> Found | None:
        return Found("warning", "it is slow", 3, "perf/step_seconds", 2.0, 1.0)

    (rule,) = family.rules
    found = rule.check(None, None)
    assert found is not None
    finding = rule.finding(found, 7)
    payload = finding.payload()
    assert (payload["rule"], payload["family"], payload["source"]) == ("slow", "speed", "lab/diagnosis/speed.py")
    assert (payload["since"], payload["try"], "ended" in payload) == (3, ["this", "that"], False)
    over = finding.over(9)
    assert (over.level, over.step, over.payload()["ended"], over.what) == ("note", 9, 9, "over at step 9: it is slow")
