"""Power of a device: settings, calibration, meter readings; and its history."""

from typing import Annotated

from fastapi import APIRouter, Query

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import (
    CalibrationIn,
    HistoryOut,
    JobOut,
    MeterReadingIn,
    MeterReadingOut,
    PowerSettingsIn,
    PowerSettingsOut,
)

router = APIRouter(tags=["power"])


@router.put("/devices/{name}/power")
def set_power(services: ServicesDep, name: str, request: PowerSettingsIn) -> PowerSettingsOut:
    """Say how a device's power is known beside its own sensors; a running agent takes it at once."""
    return services.power.set(name, request)


@router.post("/devices/{name}/calibration", status_code=202)
def calibrate(services: ServicesDep, name: str, request: CalibrationIn) -> JobOut:
    """Fit the device's power model by running it at some levels, or keep it at one level for a while."""
    return services.power.calibrate(name, request)


@router.get("/devices/{name}/meter-readings")
def list_readings(services: ServicesDep, name: str) -> list[MeterReadingOut]:
    """List the meter readings that were typed, newest first."""
    return services.power.readings(name)


@router.post("/devices/{name}/meter-readings", status_code=201)
def add_reading(services: ServicesDep, name: str, request: MeterReadingIn) -> MeterReadingOut:
    """File a meter reading; the answer tells the energy since the one before."""
    return services.power.add_reading(name, request)


@router.get("/devices/{name}/history")
def read_history(
    services: ServicesDep,
    name: str,
    seconds: Annotated[float, Query(gt=0, le=7 * 86400)] = 600,
    points: Annotated[int, Query(ge=2, le=2000)] = 300,
    until_unix_s: Annotated[float | None, Query(gt=0, lt=1e11, description="Left out: now.")] = None,
) -> HistoryOut:
    """Read what a device did over `seconds`, in at most `points` points; gaps are points without figures."""
    return services.telemetry.history(name, seconds, points, until_unix_s)
