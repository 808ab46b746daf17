"""What every route is given."""

from typing import Annotated

from fastapi import Depends, Path
from fastapi.requests import HTTPConnection

from partition_studio.services import Services


def _services(connection: HTTPConnection) -> Services:
    services = connection.app.state.services
    assert isinstance(services, Services)
    return services


ServicesDep = Annotated[Services, Depends(_services)]

#: A number of a row, as far as the database can count.
RowId = Annotated[int, Path(ge=1, lt=2**63)]
