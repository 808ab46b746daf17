"""A plug that measures the whole device at the wall: Shelly (second generation and later) or Tasmota, over HTTP.

Its counter is true but coarse (Tasmota's steps are 1 Wh), its power fine: between two steps of the counter the energy
goes on by the power, and at each step it is set right.
"""

import json
import logging
import time
from typing import NamedTuple, Optional
from urllib.parse import quote

from partition_agent.power.plug_http import TIMEOUT_S, Client, Login, PlugError
from partition_agent.power.polled import PolledReader
from partition_agent.power.reader import Reading

logger = logging.getLogger(__name__)

SHELLY_PATH = "/rpc/Switch.GetStatus?id=0"
TASMOTA_PATH = "/cm?cmnd=Status%2010"

#: No device here takes more; and no counter of energy lies beyond.
_MOST_W, _MOST_J = 100e3, 1e15

#: How long a plug is left alone whose answer will not change by asking again.
_FINAL_PAUSE_S = 30.0


class PlugSpec(NamedTuple):
    """Which plug, and how it is reached. `kind` is `shelly` or `tasmota`."""

    kind: str
    host: str
    port: int = 80
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Hide the password from logs."""
        return f"PlugSpec({self.kind!r}, {self.host!r}, {self.port})"


class PlugAnswer(NamedTuple):
    """Power now and the counter's stand."""

    power_w: Optional[float]
    counter_j: Optional[float]


def _number(value: object, most: float) -> Optional[float]:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        return None
    return float(value)


def parse_shelly(body: bytes) -> PlugAnswer:
    """Read `apower` (W) and `aenergy.total` (Wh). Raises PlugError."""
    status = _object(body)
    energy = status.get("aenergy")
    total_wh = _number(energy.get("total") if isinstance(energy, dict) else None, _MOST_J / 3600)
    return _answer(_number(status.get("apower"), _MOST_W), None if total_wh is None else total_wh * 3600)


def parse_tasmota(body: bytes) -> PlugAnswer:
    """Read `StatusSNS.ENERGY`: `Power` (W) and `Total` (kWh). Raises PlugError."""
    status = _object(body).get("StatusSNS")
    energy = status.get("ENERGY") if isinstance(status, dict) else None
    if not isinstance(energy, dict):
        raise PlugError("the plug answers, but measures no energy")
    total_kwh = _number(energy.get("Total"), _MOST_J / 3.6e6)
    return _answer(_number(energy.get("Power"), _MOST_W), None if total_kwh is None else total_kwh * 3.6e6)


def _object(body: bytes) -> "dict[str, object]":
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise PlugError("what the plug answers is no JSON") from error
    if not isinstance(value, dict):
        raise PlugError("what the plug answers is not of its kind")
    return value


def _answer(power_w: Optional[float], counter_j: Optional[float]) -> PlugAnswer:
    if power_w is None and counter_j is None:
        raise PlugError("the plug answers, but measures no power")
    return PlugAnswer(power_w, counter_j)


class Anchored:
    """Energy that follows a coarse counter, and between its steps the power. It never goes back."""

    def __init__(self) -> None:
        self._at_s: Optional[float] = None
        self._power_w: Optional[float] = None
        self._gap = False
        self._counter_j: Optional[float] = None
        self._stepped = False
        #: Energy at the counter's last step, and by power since.
        self._base_j = self._since_j = self._energy_j = 0.0

    def add(self, answer: PlugAnswer, at_s: float, max_gap_s: float) -> float:
        """Take an answer; return the energy since the first."""
        span_s = 0.0 if self._at_s is None else at_s - self._at_s
        if span_s > max_gap_s or self._power_w is None or answer.power_w is None:
            self._gap = True
        else:
            self._since_j += (self._power_w + answer.power_w) / 2 * span_s
        self._at_s, self._power_w = at_s, answer.power_w
        if answer.counter_j is not None:
            self._count(answer.counter_j)
        self._energy_j = max(self._energy_j, self._base_j + self._since_j)
        return self._energy_j

    def _count(self, counter_j: float) -> None:
        last_j, self._counter_j = self._counter_j, counter_j
        if last_j is None:
            self._gap = False
        if last_j is None or counter_j == last_j:
            return
        if counter_j < last_j or not (self._stepped or self._gap):
            # It was set back; or nobody knows how far from its next step it was when we began: the power tells better.
            self._base_j += self._since_j
        else:
            self._base_j += counter_j - last_j
        self._stepped, self._gap, self._since_j = True, False, 0.0


class PlugReader(PolledReader):
    """What the plug says about once a second."""

    scope, method = "wall", "counter"
    stale_s = TIMEOUT_S + 2.0
    max_gap_s = float("inf")

    def __init__(self, spec: PlugSpec) -> None:
        super().__init__()
        self.source, self.spec = spec.kind, spec
        #: Shelly knows one user.
        login = Login(spec.user or "admin", spec.password) if spec.password else None
        self._path = SHELLY_PATH
        if spec.kind == "tasmota":
            self._path = TASMOTA_PATH
            if login is not None:
                # Its commands take name and password in no other way.
                self._path = f"/cm?user={quote(login.user, '')}&password={quote(login.password, '')}&cmnd=Status%2010"
                login = None
        self._client = Client(spec.host, spec.port, login)
        self._energy = Anchored()
        self._final = False
        #: Why it does not answer; it is logged on the first failure and on the return.
        self.problem: Optional[str] = None

    def ask(self) -> Optional[Reading]:
        """Ask the plug once."""
        try:
            answer = self.answer()
        except PlugError as error:
            if self.problem is None:
                logger.warning("plug_lost", extra={"kind": self.spec.kind, "host": self.spec.host, "why": str(error)})
            self.problem, self._final = str(error), error.final
            return None
        if self.problem is not None:
            logger.info("plug_back", extra={"kind": self.spec.kind, "host": self.spec.host})
            self.problem = None
        if answer.counter_j is None:
            self.method, self.max_gap_s = "sampled", self.stale_s
            return Reading(answer.power_w)
        self.method, self.max_gap_s = "counter", float("inf")
        return Reading(answer.power_w, self._energy.add(answer, time.monotonic(), self.stale_s))

    def answer(self) -> PlugAnswer:
        """Ask the plug once. Raises PlugError."""
        body = self._client.get(self._path)
        return parse_tasmota(body) if self.spec.kind == "tasmota" else parse_shelly(body)

    def pause_s(self, answered: bool) -> float:
        """Return a second, more after a failure."""
        return self.interval_s if answered else (_FINAL_PAUSE_S if self._final else 5.0)

    def uncertainty(self, power_w: Optional[float]) -> Optional[float]:
        """Return what such plugs reach above some watts; their error is about a tenth of a watt below."""
        return None if not power_w else max(0.02, 0.1 / power_w)
