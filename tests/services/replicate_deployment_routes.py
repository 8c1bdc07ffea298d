"""The local Replicate's routes for deployments; each cites its documentation."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .replicate_http import Answer, Call, Problem, Route, invalid, not_found, now, page
from .replicate_prediction_routes import NewPrediction, run, visible_versions
from .replicate_routes import Scale, Sku, Slug, Strict, created_by, version_of, visible_model

if TYPE_CHECKING:
    from .replicate import Replicate


class NewDeployment(Scale):
    name: Slug
    model: str
    version: str
    hardware: Sku


class DeploymentUpdate(Strict):
    version: str | None = None
    hardware: Sku | None = None
    min_instances: int | None = None
    max_instances: int | None = None


@dataclass
class Deployment:
    """A deployment and its releases, the current one last."""

    owner: str
    name: str
    releases: list[dict[str, Any]] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"

    @property
    def release(self) -> dict[str, Any]:
        return self.releases[-1]

    def add_release(self, model: str, version: str, configuration: dict[str, Any], account: str) -> None:
        number, author = len(self.releases) + 1, created_by(account)
        release = {"number": number, "model": model, "version": version, "created_at": now(), "created_by": author}
        self.releases.append(release | {"configuration": configuration})

    def as_json(self) -> dict[str, Any]:
        return {"owner": self.owner, "name": self.name, "current_release": self.release}


def create_deployment(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#deployments.create"""
    body = call.body(NewDeployment)
    _check_version(replicate, call, body.model, body.version)
    deployment = Deployment(call.account, body.name)
    if replicate.deployments.setdefault(deployment.full_name, deployment) is not deployment:
        raise Problem(409, "Conflict", f"A deployment with that name already exists: {deployment.full_name}")
    configuration = body.model_dump(include={"hardware", "min_instances", "max_instances"})
    deployment.add_release(body.model, body.version, configuration, call.account)
    return Answer(200, deployment.as_json())


def list_deployments(replicate: "Replicate", call: Call) -> Answer:
    """https://replicate.com/docs/reference/http#deployments.list: the most recent first."""
    own = [each for each in replicate.deployments.values() if each.owner == call.account]
    items = [deployment.as_json() for deployment in reversed(own)]
    return Answer(200, page(call, replicate.address, items, "name", replicate.page_size))


def get_deployment(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#deployments.get"""
    return Answer(200, own_deployment(replicate, call, owner, name).as_json())


def update_deployment(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#deployments.update: every update is a new release.

    Running predictions end on the old release's version; new predictions run on the new one.
    """
    deployment = own_deployment(replicate, call, owner, name)
    changes = call.body(DeploymentUpdate).model_dump(exclude_none=True)
    version = changes.pop("version", deployment.release["version"])
    _check_version(replicate, call, deployment.release["model"], version)
    configuration = deployment.release["configuration"] | changes
    _check_scale(configuration)
    deployment.add_release(deployment.release["model"], version, configuration, call.account)
    replicate.retire(deployment.full_name, version)
    return Answer(200, deployment.as_json())


def create_deployment_prediction(replicate: "Replicate", call: Call, owner: str, name: str) -> Answer:
    """https://replicate.com/docs/reference/http#deployments.predictions.create: of its current release."""
    deployment = own_deployment(replicate, call, owner, name)
    release = deployment.release
    model = visible_model(replicate, call, *release["model"].split("/"))
    version = version_of(model, release["version"])
    return run(replicate, call, call.body(NewPrediction), version, f"deployments/{owner}/{name}")


def own_deployment(replicate: "Replicate", call: Call, owner: str, name: str) -> Deployment:
    deployment = replicate.deployments.get(f"{owner}/{name}")
    if deployment is None or owner != call.account:
        raise not_found("The requested deployment")
    return deployment


def _check_scale(configuration: dict[str, Any]) -> None:
    try:
        Scale.model_validate({name: configuration[name] for name in ("min_instances", "max_instances")})
    except ValueError:
        raise invalid([("min_instances", "from 0 to 5"), ("max_instances", "from 0 to 20")]) from None


def _check_version(replicate: "Replicate", call: Call, model: str, version: str) -> None:
    known = visible_versions(replicate, call, model) if model in replicate.models else []
    if version not in [each.id for each in known]:
        raise invalid([("version", f"{model} has no version {version}")])


ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "/v1/deployments"): create_deployment,
    ("GET", "/v1/deployments"): list_deployments,
    ("GET", "/v1/deployments/{owner}/{name}"): get_deployment,
    ("PATCH", "/v1/deployments/{owner}/{name}"): update_deployment,
    ("POST", "/v1/deployments/{owner}/{name}/predictions"): create_deployment_prediction,
}
