"""Predicts plain plans of one network (whole layers on whole devices) as `predict` does, fast enough for a drag.

What hangs on the network and the figures alone is looked up once, and what a stage takes is remembered by its device
and its layers, so that a layer that goes elsewhere costs two stages.
"""

from collections.abc import Mapping

from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.network import Network
from partition_studio.partition.memory import LinkNeed, MemoryBound, link_bytes, memory_bound
from partition_studio.partition.stages import SINK, SOURCE, Instance, UnplacedLayerError, build_stages
from partition_studio.planner.figures.checks import require_devices, require_links
from partition_studio.planner.figures.figures import Figures, Way
from partition_studio.planner.prediction.flow import Flow, Transfer, Work
from partition_studio.planner.prediction.predict import PlacedTime, placed_time
from partition_studio.planner.prediction.prediction import Prediction
from partition_studio.planner.prediction.quick_split import FROM_STUDIO, MOST_KEPT, TO_STUDIO, Members, Split, Splitter
from partition_studio.planner.prediction.quick_stages import Layout, StageNeeds, StageTimes
from partition_studio.planner.prediction.sum_up import sum_up


class QuickPredictor:
    """Predictions of all placements of one network by the same figures. Not for several threads at once."""

    def __init__(self, network: Network, figures: Figures) -> None:
        self.network = network
        self.figures = figures
        self._names = [layer.name for layer in network.layers]
        self._splitter = Splitter(network)
        self._layout = Layout(network, self._splitter)
        self._needs = StageNeeds(network, self._splitter)
        self._times: dict[str, StageTimes] = {}
        self._placed: dict[tuple[str, Members], PlacedTime] = {}
        self._good_ways: set[Way] = set()

    def predict(self, placement: Mapping[str, str]) -> Prediction:
        """Return what `predict` returns for the plan that has this placement and nothing else.

        Raises UnplacedLayerError, CutTypeError, BadFiguresError.
        """
        try:
            places = [placement[name] for name in self._names]
        except KeyError as missing:
            layer = missing.args[0]
            raise UnplacedLayerError(f"The layer {layer!r} is not placed on any device.", layer=layer) from None
        split = self._splitter.split(places)
        if split is None:
            # It says which layer and tensor; it never returns.
            build_stages(self.network, placement)
            raise AssertionError("a cut that cannot be was found to be one")
        return self._of_split(split, places)

    def _of_split(self, split: Split, places: list[str]) -> Prediction:
        names, devices = [], []
        counts: dict[str, int] = {}
        for members in split.stages:
            device = places[members[0]]
            number = counts.get(device, 0)
            counts[device] = number + 1
            names.append(f"{device}-{number}")
            devices.append(device)
        self._require_times(counts)
        times = [self._time(device, members) for device, members in zip(devices, split.stages, strict=True)]
        works = tuple(
            Work(name, name, device, "", time.seconds, time.cpu_s)
            for name, device, time in zip(names, devices, times, strict=True)
        )
        transfers, memory = self._links(split, names, devices)
        cores = {device: self.figures.devices[device].cores for device in counts}
        flow = Flow(works, transfers, cores, self.figures.links)
        notes = {name: time.warnings for name, time in zip(names, times, strict=True) if time.warnings}
        return sum_up(flow, self.figures, memory, notes)

    def _require_times(self, devices: Mapping[str, int]) -> None:
        for device in devices:
            if device not in self._times:
                require_devices(self.figures, (device,))
                profile = self.figures.devices[device].profile
                self._times[device] = StageTimes(profile, self.network, self._layout)

    def _time(self, device: str, members: Members) -> PlacedTime:
        key = device, members
        found = self._placed.get(key)
        if found is None:
            if len(self._placed) >= MOST_KEPT:
                self._placed.clear()
            place = Instance(device, device, device)
            time = self._times[device].of(members)
            found = self._placed[key] = placed_time(self.figures.devices[device], place, time)
        return found

    def _links(
        self, split: Split, names: list[str], devices: list[str]
    ) -> tuple[tuple[Transfer, ...], dict[str, MemoryBound]]:
        windows = self._splitter.windows(tuple(split.cuts), tuple(devices))
        size_bytes, figures = self._splitter.size_bytes, self.figures
        incoming: dict[str, list[LinkNeed]] = {device: [] for device in devices}
        outgoing: dict[str, list[LinkNeed]] = {device: [] for device in devices}
        transfers = []
        for ((maker, reader), tensors), window in zip(split.cuts.items(), windows, strict=True):
            producer, source = (SOURCE, STUDIO_PEER) if maker == FROM_STUDIO else (names[maker], devices[maker])
            consumer, target = (SINK, STUDIO_PEER) if reader == TO_STUDIO else (names[reader], devices[reader])
            raw_bytes = 0
            for tensor in tensors:
                raw_bytes += size_bytes[tensor]
            need = LinkNeed(raw_bytes, window)
            if reader != TO_STUDIO:
                incoming[target].append(need)
            wire_bytes, send_s, receive_s, send_beside_s, receive_beside_s = 0, 0.0, 0.0, 0.0, 0.0
            if source != target:
                if maker != FROM_STUDIO:
                    outgoing[source].append(need)
                self._require_way((source, target))
                wire_bytes = raw_bytes
                sending, receiving = figures.carry_of(source), figures.carry_of(target)
                send_s, receive_s = sending.seconds(raw_bytes), receiving.seconds(raw_bytes)
                send_beside_s, receive_beside_s = sending.beside_byte_s * raw_bytes, receiving.beside_byte_s * raw_bytes
            cut = f"{producer}->{consumer}"
            transfers.append(
                Transfer(
                    *(cut, producer, consumer, source, target, raw_bytes, wire_bytes, send_s, receive_s, window, 1.0),
                    *(send_beside_s, receive_beside_s),
                )
            )
        needs: dict[str, list[Members]] = {device: [] for device in devices}
        for device, members in zip(devices, split.stages, strict=True):
            needs[device].append(members)
        memory = {
            device: memory_bound(map(self._needs.of, held), link_bytes(incoming[device]), link_bytes(outgoing[device]))
            for device, held in needs.items()
        }
        return tuple(transfers), memory

    def _require_way(self, way: Way) -> None:
        if way not in self._good_ways:
            require_links(self.figures, (way,))
            self._good_ways.add(way)
