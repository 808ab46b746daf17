"""Profiles of networks on devices."""

import logging
import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import ValidationError
from sqlalchemy import delete, select

from partition_studio.errors import NotFoundError, StudioError
from partition_studio.fleet.profiling.measure import Measurement, measure, release, threads_on
from partition_studio.fleet.progress import Progress
from partition_studio.fleet.session.session import DeviceSession
from partition_studio.graph.network import Network
from partition_studio.partition.partition import Division
from partition_studio.partition.stages import Instance, Stage
from partition_studio.planner.figures.profile import Profile, network_digest, profile_of_json, profile_to_json
from partition_studio.planner.prediction.stage_time import predict_stage_s
from partition_studio.schemas import (
    CarrySpeedOut,
    CodecSpeedOut,
    JobOut,
    KernelProfileOut,
    LayerProfileOut,
    ProfileEnergyOut,
    ProfileIn,
    ProfileOut,
    ProfilesMessage,
    ProfileSummaryOut,
    StagePredictionOut,
)
from partition_studio.services.deployments import DeploymentService
from partition_studio.services.devices import DeviceService
from partition_studio.services.jobs import Job, JobService
from partition_studio.services.models import ModelService
from partition_studio.services.telemetry import TelemetryService
from partition_studio.store.database import Database
from partition_studio.store.tables import DeviceRow, ProfileRow
from partition_studio.telemetry.figures import times_of_stages
from partition_studio.telemetry.live import LiveHub

logger = logging.getLogger(__name__)

PROVIDER = "CPUExecutionProvider"

#: Where a device does not say how much memory it has.
_SMALL_BYTES = 512 * 2**20


class ProfileNotFoundError(NotFoundError):
    """There is no such profile."""

    code = "profile_not_found"
    next_step = "List the profiles with `partition-studio device profiles`; measure one with `device profile`."


class ProfileService:
    """Measure, keep and use profiles. Thread-safe."""

    def __init__(
        self,
        database: Database,
        hub: LiveHub,
        models: ModelService,
        devices: DeviceService,
        deployments: DeploymentService,
        telemetry: TelemetryService,
        jobs: JobService,
    ) -> None:
        self._database = database
        self._hub = hub
        self._models = models
        self._devices = devices
        self._deployments = deployments
        self._telemetry = telemetry
        self._jobs = jobs
        self._lock = threading.Lock()

    def start(self, device: str, request: ProfileIn) -> JobOut:
        """Begin to measure a model on a device. Raises NotFoundError, JobsBusyError."""
        name = self._models.name(request.model_id)
        session = self._devices.session(device)
        return self._jobs.start(
            "profile",
            f"Profile of {name} on {device}",
            [device],
            lambda job: self._profile(job, session, request, name),
            model_id=request.model_id,
        )

    def all(self, *, device: str | None = None, model_id: str | None = None) -> list[ProfileSummaryOut]:
        """List the profiles, newest first."""
        query = select(ProfileRow).order_by(ProfileRow.measured_at.desc(), ProfileRow.id.desc())
        if device is not None:
            query = query.where(ProfileRow.device == device)
        if model_id is not None:
            query = query.where(ProfileRow.model_id == model_id)
        with self._database.session() as session:
            found = [(row, profile_of_json(row.document)) for row in session.scalars(query)]
        return [self._summary(row, profile) for row, profile in found if profile is not None]

    def show(self, profile_id: int) -> ProfileOut:
        """Return a profile. Raises ProfileNotFoundError."""
        with self._database.session() as session:
            row = session.get(ProfileRow, profile_id)
        profile = None if row is None else profile_of_json(row.document)
        if row is None or profile is None:
            raise ProfileNotFoundError(f"There is no profile {profile_id}", profile=profile_id)
        share_j, carry = _energy_per_s(profile), profile.carry
        return ProfileOut(
            **dict(self._summary(row, profile)),
            layers=[
                LayerProfileOut(
                    layer=figures.layer,
                    median_s=figures.median_s,
                    spread_s=figures.spread_s,
                    runs=figures.runs,
                    weight_bytes=figures.weight_bytes,
                    output_bytes=figures.output_bytes,
                    energy_j=share_j(figures.median_s * profile.kernels_s / (profile.layers_s or 1.0)),
                )
                for figures in profile.layers
            ],
            kernels=[
                KernelProfileOut(
                    layers=list(kernel.layers),
                    median_s=kernel.median_s,
                    spread_s=kernel.spread_s,
                    runs=kernel.runs,
                    energy_j=share_j(kernel.median_s),
                )
                for kernel in profile.kernels
            ],
            codecs=[
                CodecSpeedOut(
                    codec=codec,
                    encode_bytes_per_s=speed.encode_bytes_per_s,
                    decode_bytes_per_s=speed.decode_bytes_per_s,
                )
                for codec, speed in profile.codecs.items()
            ],
            carry=None if carry is None else CarrySpeedOut(message_s=carry.message_s, byte_s=carry.byte_s),
        )

    def forget(self, device: str) -> None:
        """Forget the profiles of a device that is removed."""
        with self._database.session() as session, session.begin():
            session.execute(delete(ProfileRow).where(ProfileRow.device == device))
        self._hub.publish(ProfilesMessage(device=device))

    def delete(self, profile_id: int) -> None:
        """Forget a profile. Raises ProfileNotFoundError."""
        with self._database.session() as session, session.begin():
            row = session.get(ProfileRow, profile_id)
            if row is None:
                raise ProfileNotFoundError(f"There is no profile {profile_id}", profile=profile_id)
            device = row.device
            session.delete(row)
        self._hub.publish(ProfilesMessage(device=device))

    def predictions(self, deployment_id: str) -> list[StagePredictionOut]:
        """Compare predicted with measured stage times; none for a deployment that has ended. Raises NotFoundError."""
        # A page asks every few seconds: that it ended just now is no fault of the one who asks.
        live = self._deployments.live_or_ended(deployment_id)
        if live is None:
            return []
        spec = live.spec
        measured = times_of_stages(self._telemetry.live(), spec.id, spec.epoch)
        digest = network_digest(spec.partition.whole)
        out = []
        for stage, instance in ((each, at) for each in spec.graph.stages for at in each.instances):
            threads = spec.threads.get(instance.device, 0) or len(instance.cores)
            found = self._best(instance.device, digest, threads)
            measured_s = measured.get((instance.device, instance.name))
            out.append(_prediction(stage, instance, found, spec.partition.division, threads, measured_s))
        return out

    def expected_s(self, deployment_id: str) -> dict[str, float]:
        """Return what the stages of a deployment are expected to take for a frame, by their names, where it is known.

        Raises NotFoundError.
        """
        told = self.predictions(deployment_id)
        return {stage.stage: stage.predicted_s for stage in told if stage.predicted_s is not None}

    def best(self, device: str, network: Network, threads: int) -> Profile | None:
        """Return the profile of a network on a device that fits best, if there is one."""
        found = self._best(device, network_digest(network), threads)
        return None if found is None else found[1]

    def newest(self, device: str) -> Profile | None:
        """Return the newest profile of any network on a device."""
        query = select(ProfileRow).where(ProfileRow.device == device).order_by(ProfileRow.measured_at.desc())
        with self._database.session() as session:
            found = (profile_of_json(row.document) for row in session.scalars(query))
            return next((profile for profile in found if profile is not None), None)

    def _best(self, device: str, digest: str, threads: int) -> tuple[int, Profile] | None:
        """Return the profile of a network on a device that fits best.

        Of those with as many threads and the ONNX Runtime that the device has now the newest; else the newest with as
        many threads; else the newest.
        """
        query = select(ProfileRow).where(ProfileRow.device == device, ProfileRow.network_digest == digest)
        with self._database.session() as session:
            row = session.get(DeviceRow, device)
            runtime = ((None if row is None else row.check) or {}).get("onnxruntime")

            def rank(found: ProfileRow) -> tuple[bool, bool, datetime]:
                is_alike = found.threads == threads
                return is_alike, is_alike and (not runtime or found.runtime in ("", runtime)), found.measured_at

            rows = sorted(session.scalars(query), key=rank, reverse=True)
            told = ((row.id, profile_of_json(row.document)) for row in rows)
            return next(((number, profile) for number, profile in told if profile is not None), None)

    # --- measuring (in the job's thread) ------------------------------------------------------------------------------

    def _profile(self, job: Job, session: DeviceSession, request: ProfileIn, model_name: str) -> None:
        device = session.spec.name
        network = self._models.network(request.model_id)
        if self._deployments.active_on(device) is not None:
            job.warn(f"a deployment runs on {device}: frames that pass meanwhile disturb the profile")

        def transfer(progress: Progress) -> None:
            job.step(progress.text, progress.done_bytes, progress.total_bytes, "bytes")

        try:
            info = session.hold_agent(job.id, lambda _step, text: job.step(text), transfer, job.cancelled)
            threads = threads_on(info, request.threads or self._devices.threads(device))
            if not request.again and self._is_kept(network, device, info.onnxruntime_version, threads):
                job.step(f"{model_name} was measured on {device} under the same conditions", 1, 1)
                return
            declared = self._devices.limits()[device].memory_bytes
            memory = [size for size in (info.memory_limit_bytes, declared) if size]
            wanted = Measurement(
                job.id, network, threads, min(memory, default=_SMALL_BYTES), info.onnxruntime_version, PROVIDER
            )
            profile = measure(session, wanted, job.step, job.cancelled)
        finally:
            self._release(session, job.id)
        job.stop_if_cancelled()
        for text in profile.warnings:
            job.warn(text)
        self._keep(profile, request.model_id)
        job.step("measured", 1, 1)

    def _release(self, session: DeviceSession, job_id: str) -> None:
        try:
            release(session, job_id)
        except StudioError as error:
            # Whoever holds the agent next has it delete what nobody needs.
            logger.warning("profile_not_released", extra={"device": session.spec.name, "reason": error.message})

    def _is_kept(self, network: Network, device: str, runtime: str, threads: int) -> bool:
        with self._database.session() as session:
            query = select(ProfileRow).where(
                ProfileRow.device == device,
                ProfileRow.network_digest == network_digest(network),
                ProfileRow.runtime == runtime,
                ProfileRow.threads == threads,
                ProfileRow.provider == PROVIDER,
            )
            row = session.scalars(query).first()
            kept = None if row is None else profile_of_json(row.document)
            # What an older agent measured lacks the codecs, or what carrying costs, which today's tells.
            return kept is not None and bool(kept.codecs) and kept.carry is not None

    def _keep(self, profile: Profile, model_id: str) -> None:
        """Keep a profile in place of the one of the same key."""
        key = profile.key
        with self._lock, self._database.session() as session, session.begin():
            query = select(ProfileRow).where(
                ProfileRow.device == key.device,
                ProfileRow.network_digest == key.network_digest,
                ProfileRow.runtime == key.runtime,
                ProfileRow.threads == key.threads,
                ProfileRow.provider == key.provider,
            )
            row = session.scalars(query).first()
            if row is None:
                row = ProfileRow(
                    device=key.device,
                    network_digest=key.network_digest,
                    runtime=key.runtime,
                    threads=key.threads,
                    provider=key.provider,
                )
                session.add(row)
            row.model_id = model_id
            row.document = profile_to_json(profile)
            row.measured_at = datetime.now(UTC)
        self._hub.publish(ProfilesMessage(device=key.device))

    def _summary(self, row: ProfileRow, profile: Profile) -> ProfileSummaryOut:
        return ProfileSummaryOut(
            id=row.id,
            device=row.device,
            model_id=row.model_id,
            model_name=self._model_name(row.model_id),
            network_digest=row.network_digest,
            threads=row.threads,
            provider=row.provider,
            onnxruntime=row.runtime,
            measured_at=row.measured_at,
            run_s=profile.run_s,
            run_spread_s=profile.run_spread_s,
            layers_s=profile.layers_s,
            kernels_s=profile.kernels_s,
            pieces=profile.pieces,
            weight_bytes=profile.weight_bytes,
            peak_bytes=profile.peak_bytes,
            energy=_energy(profile),
            temperature_c=profile.temperature_c,
            throttled=list(profile.throttled),
            warnings=list(profile.warnings),
            duration_s=profile.duration_s,
        )

    def _model_name(self, model_id: str) -> str:
        try:
            return self._models.name(model_id)
        except NotFoundError:
            return f"{model_id} (removed)"


def _energy(profile: Profile) -> ProfileEnergyOut | None:
    power = profile.power
    if power is None:
        return None
    try:
        return ProfileEnergyOut.model_validate(
            {
                "gross_j": power.gross_j,
                "net_j": power.net_j,
                "source": power.source,
                "scope": power.scope,
                "method": power.method,
                "uncertainty": power.uncertainty,
            }
        )
    except ValidationError:
        # Of a scope or a method that this studio does not know: what it is of could not be told.
        return None


def _energy_per_s(profile: Profile) -> Callable[[float], float | None]:
    """Return the energy that goes with some of a run's seconds; None without a source."""
    power = profile.power
    if power is None or profile.run_s <= 0:
        return lambda _seconds: None

    def share_j(seconds: float) -> float | None:
        # Times near 0 make a share that is no number.
        energy_j = power.gross_j * seconds / profile.run_s
        return energy_j if math.isfinite(energy_j) else None

    return share_j


def _prediction(
    stage: Stage,
    instance: Instance,
    found: tuple[int, Profile] | None,
    division: Division,
    threads: int,
    measured_s: float | None,
) -> StagePredictionOut:
    """Return a stage's prediction from a profile, when there is one, beside what was measured."""
    if found is None:
        return StagePredictionOut(
            stage=instance.name,
            device=instance.device,
            predicted_s=None,
            measured_s=measured_s,
            profile_id=None,
            warnings=[f"this network was not profiled on {instance.device}"],
        )
    number, profile = found
    predicted = predict_stage_s(profile, division.network, stage.layers, division.sources)
    warnings = [*profile.warnings, *predicted.warnings]
    if threads and threads != profile.key.threads:
        warnings.append(f"the profile was measured with {profile.key.threads} threads, the stage runs with {threads}")
    return StagePredictionOut(
        stage=instance.name,
        device=instance.device,
        predicted_s=predicted.seconds,
        measured_s=measured_s,
        profile_id=number,
        warnings=warnings,
    )
