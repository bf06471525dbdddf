"""The manifests against Kubernetes' published schemas, and against each other."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.places import HOME

MANIFESTS = HOME / "deploy/kubernetes"
VERSIONS = ("1.31", "1.34", "1.37")
DNS_CACHE_SECONDS = 30  # CoreDNS as kubeadm installs it


def documents() -> list[dict[str, Any]]:
    return [
        document
        for path in sorted(MANIFESTS.glob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
    ]


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    return {d["metadata"]["name"]: d for d in documents() if d["kind"] == kind}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_fits_the_published_schema(version: str):
    for document in documents():
        kubernetes_validate.validate(document, version, strict=True)


def test_the_validator_refuses_what_no_schema_knows():
    document = of_kind("Deployment")["triton"]
    document["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "Never"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, VERSIONS[-1], strict=True)


def test_every_workload_is_probed_and_guarded():
    budgets, scalers = of_kind("PodDisruptionBudget"), of_kind("HorizontalPodAutoscaler")
    deployments = of_kind("Deployment")
    assert set(deployments) == set(budgets) == {"balancer", "gateway", "triton"}
    assert set(scalers) == {"gateway", "triton"}
    for name, deployment in deployments.items():
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        assert {"readinessProbe", "livenessProbe", "resources", "securityContext"} <= set(container)
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        selector = budgets[name]["spec"]["selector"]["matchLabels"]
        assert selector.items() <= labels.items()


def test_every_workload_is_closed_to_pods_that_have_no_business_there():
    policies = of_kind("NetworkPolicy")
    assert set(policies) == set(of_kind("Deployment"))
    for name, deployment in of_kind("Deployment").items():
        pod, policy = deployment["spec"]["template"], policies[name]["spec"]
        assert policy["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        opened = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        allowed = {port["port"] for rule in policy["ingress"] for port in rule.get("ports", [])}
        assert allowed <= opened


def test_services_lead_to_ports_that_pods_open():
    pods = {name: d["spec"]["template"] for name, d in of_kind("Deployment").items()}
    for service in of_kind("Service").values():
        selector = service["spec"]["selector"].items()
        pod = next(p for p in pods.values() if selector <= p["metadata"]["labels"].items())
        opened = {port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}
        assert {port["port"] for port in service["spec"]["ports"]} <= opened


@pytest.mark.parametrize("name", ["gateway", "triton"])
def test_a_stopping_pod_serves_until_every_balancer_can_know_its_successor(name: str):
    pod = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    _, seconds = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert int(seconds) > DNS_CACHE_SECONDS
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + 30  # to answer what it admitted


def test_the_gateway_finds_the_documented_secret_of_api_keys():
    pod = of_kind("Deployment")["gateway"]["spec"]["template"]["spec"]
    guide = (HOME / "deploy/README.md").read_text()
    secret = next(v["secret"] for v in pod["volumes"] if v["name"] == "keys")
    assert secret["optional"] and f"create secret generic {secret['secretName']} " in guide
    mount = next(m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "keys")
    assert f"API_KEYS_FILE, value: {mount['mountPath']}/api-keys" in guide


def test_the_balancers_configuration_is_the_one_of_compose():
    configuration = (HOME / "deploy/haproxy.cfg").read_text()
    assert of_kind("ConfigMap")["haproxy"]["data"]["haproxy.cfg"] == configuration
