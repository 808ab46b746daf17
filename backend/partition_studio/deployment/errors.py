"""What can go wrong with a deployment or a run."""

from partition_studio.errors import ConflictError, DeploymentError, NotFoundError

#: What a person can do about what an agent refuses to load, by the agent's own code.
LOADING_NEXT_STEPS = {
    "missing_codecs": "Check the device (`partition-studio device check NAME`), so that its agent is installed anew; "
    "or choose codecs for its links that need neither LZ4 nor Zstandard.",
}


class DeploymentNotFoundError(NotFoundError):
    """There is no such deployment."""

    code = "deployment_not_found"
    next_step = "List the deployments with `partition-studio status`."


class RunNotFoundError(NotFoundError):
    """There is no such run."""

    code = "run_not_found"
    next_step = "Start one with `partition-studio run DEPLOYMENT --input PATH`."


class NotRunningError(ConflictError):
    """The deployment does not run now."""

    code = "deployment_not_running"
    next_step = "Deploy the plan first."


class AlreadyDeployingError(ConflictError):
    """A deployment of this model is on its way."""

    code = "already_deploying"
    next_step = "Wait until it stands, or cancel it."


class DeployedSinceError(ConflictError):
    """Somebody else deployed a plan of this model meanwhile."""

    code = "deployed_since"
    next_step = "Look at what was deployed, then deploy over it if you mean to."


class NothingToRetryError(ConflictError):
    """No device of the deployment waits to be tried again."""

    code = "nothing_to_retry"
    next_step = "Deploy the plan again."


class RunGoingOnError(ConflictError):
    """A run is going on in this deployment."""

    code = "run_going_on"
    next_step = "Stop that run first."


class DeploymentCancelledError(DeploymentError):
    """The person cancelled the deployment."""

    code = "deployment_cancelled"
    next_step = "Deploy again when you like."


class DevicesDifferError(DeploymentError):
    """The devices do not give the answer of the whole network."""

    code = "devices_differ"
    next_step = "Do not trust this deployment: report it together with the network, the plan and the devices."


class DeviceLostError(DeploymentError):
    """A device of the deployment went away."""

    code = "device_lost"
    next_step = "Check that device's power and network, then deploy again."


class OutputsNotKeptError(ConflictError):
    """The run's outputs were not kept."""

    code = "outputs_not_kept"
    next_step = "Only a run of files that does not repeat keeps every output; start one of those."


class StudioEndedError(DeploymentError):
    """The studio ended in the middle of a deployment, which could not go on without it."""

    code = "studio_ended"
    next_step = "Deploy it again."
