"""What raises the alerts, and what does not, as Prometheus itself computes it."""

from pathlib import Path

import yaml

from tests.compose.promtool import promtool
from tests.places import HOME

RULES = HOME / "deploy/alerts.yml"
SCENARIOS = Path(__file__).with_name("alerts.yml")


def test_each_scenario_raises_and_ends_its_alerts():
    assert "SUCCESS" in promtool("test", "rules", str(SCENARIOS))


def test_each_alert_is_raised_by_a_scenario():
    rules = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
    ]
    tests = yaml.safe_load(SCENARIOS.read_text())["tests"]
    raised = {
        sample["labels"]
        for test in tests
        for check in test["promql_expr_test"]
        for sample in check["exp_samples"]
    }
    assert raised == {f'{{alertname="{rule["alert"]}"}}' for rule in rules}
