"""The networks that the studio holds."""

import io
import json
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select

from partition_studio.errors import BadInputError, ConflictError, NotFoundError
from partition_studio.graph.blocks import find_blocks
from partition_studio.graph.examples import EXAMPLES, Example, build_example, example
from partition_studio.graph.frames import Preprocessing
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Layer, Network, TensorType
from partition_studio.schemas import (
    BlockOut,
    ExampleOut,
    LayerOut,
    ModelOut,
    ModelsMessage,
    ModelSummaryOut,
    PreprocessingOut,
    TensorOut,
)
from partition_studio.services.vetting import vet
from partition_studio.store.database import Database
from partition_studio.store.tables import ModelRow
from partition_studio.telemetry.live import LiveHub

SAMPLES_FOLDER = "samples"

#: Uploads above this are refused while they come in.
MAX_UPLOAD_BYTES = 4 * 1024**3

#: Parsed networks kept in memory.
KEPT_NETWORKS = 3


class ModelNotFoundError(NotFoundError):
    """The studio holds no such network."""

    code = "model_not_found"
    next_step = "List the networks with `partition-studio model list`, or add the ONNX file first."


class ModelExistsError(ConflictError):
    """The very same file was added before."""

    code = "model_exists"
    next_step = "Use the one that is there, or remove it first."


class ModelBusyError(ConflictError):
    """A deployment runs the network."""

    code = "model_busy"
    next_step = "Stop that deployment first."


class UploadTooLargeError(BadInputError):
    """The file is larger than the studio takes."""

    code = "upload_too_large"
    next_step = "Choose a smaller network."


def tensor_out(name: str, kind: TensorType) -> TensorOut:
    """Describe an activation."""
    return TensorOut(name=name, dtype=kind.dtype, shape=list(kind.shape), size_bytes=kind.size_bytes)


def _layer_out(layer: Layer) -> LayerOut:
    shapes = layer.output_shapes
    return LayerOut(
        name=layer.name,
        op_type=layer.op_type,
        inputs=list(layer.inputs),
        outputs=list(layer.outputs),
        output_shape=list(shapes[0]) if shapes else [],
        macs=layer.macs,
        parameters=layer.parameters,
        weight_bytes=layer.weight_bytes,
        activation_bytes=layer.activation_bytes,
        attributes=dict(layer.attributes),
    )


def preprocessing_of(document: PreprocessingOut) -> Preprocessing:
    """Return the core's form of how images become inputs."""
    return Preprocessing(
        channel_order=document.channel_order,
        scale=document.scale,
        mean=tuple(document.mean),
        std=tuple(document.std),
    )


def _plain_name(name: str) -> str:
    """Return a file name that cannot lead out of its folder. Raises BadInputError."""
    if (
        not name
        or Path(name).name != name
        or name.startswith(".")
        or not name.isprintable()
        or len(os.fsencode(name)) > 200
    ):
        raise BadInputError(f"{name!r} is no plain file name", next_step="Rename the file and add it again.")
    return name


def _copy_upload(source: BinaryIO, target: Path) -> None:
    copied = 0
    with target.open("wb") as file:
        while chunk := source.read(1 << 20):
            copied += len(chunk)
            if copied > MAX_UPLOAD_BYTES:
                raise UploadTooLargeError(f"{target.name} is larger than {MAX_UPLOAD_BYTES / 1024**3:.0f} GiB")
            file.write(chunk)


def _describe(candidate: Example) -> str:
    if candidate.kind == "trained":
        return "Trained with this project, with sample images: classifies them correctly for everyone to see."
    return "The real architecture with random weights: for trying speed, memory and plans."


class ModelService:
    """Add, list, show and remove networks. Every call may block; thread-safe."""

    def __init__(
        self, data_dir: Path, database: Database, hub: LiveHub, deployment_of: Callable[[str], str | None]
    ) -> None:
        """Open the networks of a data folder; `deployment_of` tells which active deployment runs a network."""
        self._deployment_of = deployment_of
        self._folder = data_dir / "models"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = database
        self._hub = hub
        self._lock = threading.Lock()
        self._networks: OrderedDict[str, Network] = OrderedDict()

    def all(self) -> list[ModelSummaryOut]:
        """List the networks, newest first."""
        with self._database.session() as session:
            rows = session.scalars(select(ModelRow).order_by(ModelRow.added_at.desc())).all()
        return [self._summary(row) for row in rows]

    def show(self, model_id: str) -> ModelOut:
        """Show a network whole."""
        row = self._row(model_id)
        network = self.network(model_id)
        return ModelOut(
            **self._summary(row).model_dump(),
            layers=[_layer_out(layer) for layer in network.layers],
            blocks=[BlockOut.model_validate(block) for block in find_blocks(network)],
            tensors=[tensor_out(name, kind) for name, kind in network.tensors.items()],
            preprocessing=PreprocessingOut.model_validate(row.preprocessing),
            labels=row.labels,
        )

    def add(
        self,
        file: BinaryIO,
        *,
        file_name: str,
        name: str | None = None,
        data: Mapping[str, BinaryIO] | None = None,
        preprocessing: PreprocessingOut | None = None,
        labels: Sequence[str] | None = None,
        simplify: bool | None = None,
        dims: Mapping[str, int] | None = None,
        from_example: Example | None = None,
        samples: Mapping[str, bytes] | None = None,
    ) -> ModelSummaryOut:
        """Add a network from the bytes of its ONNX file and of its external data files.

        Raises NetworkError when the file cannot be taken, ModelExistsError when it is there already.
        """
        incoming = Path(tempfile.mkdtemp(prefix="incoming-", dir=self._folder))
        try:
            model_file = _plain_name(file_name)
            _copy_upload(file, incoming / model_file)
            for data_name, part in (data or {}).items():
                if _plain_name(data_name) in (model_file, SAMPLES_FOLDER):
                    raise BadInputError(f"{data_name!r} cannot be the name of a data file beside {file_name!r}")
                _copy_upload(part, incoming / data_name)
            size_bytes = sum(part.stat().st_size for part in incoming.iterdir())
            if from_example is None:
                vet(incoming / model_file, size_bytes)
            network = load_network(incoming / model_file)
            title = (name or network.name).strip()[:120] or "network"
            for sample_name, content in (samples or {}).items():
                (incoming / SAMPLES_FOLDER).mkdir(exist_ok=True)
                (incoming / SAMPLES_FOLDER / sample_name).write_bytes(content)
            row = ModelRow(
                id=network.digest[:12],
                digest=network.digest,
                name=title,
                size_bytes=size_bytes,
                example=from_example.id if from_example else None,
                trained=from_example is None or from_example.kind == "trained",
                summary=self._summarise(network) | {"file_name": model_file},
                preprocessing=(preprocessing or PreprocessingOut()).model_dump(),
                labels=list(labels or ()),
                added_at=datetime.now(UTC),
            )
            self._keep(row, incoming)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        self._remember(row.id, network)
        self._hub.publish(ModelsMessage())
        return self._summary(row)

    def _keep(self, row: ModelRow, incoming: Path) -> None:
        with self._lock, self._database.session() as session:
            present = session.get(ModelRow, row.id)
            if present is not None:
                raise ModelExistsError(f"This network is here already, as {present.name!r}", model_id=present.id)
            target = self._folder / row.digest
            shutil.rmtree(target, ignore_errors=True)
            os.rename(incoming, target)
            session.add(row)
            session.commit()

    def choose(self, model_id: str, *, simplified: bool) -> ModelSummaryOut:
        """Use a network simplified, or as it is in the file. Raises ModelBusyError while a deployment runs it."""
        return self._summary(self._row(model_id))

    def remove(self, model_id: str) -> None:
        """Remove a network and its saved plans. Raises ModelBusyError while a deployment runs it."""
        deployment = self._deployment_of(model_id)
        if deployment is not None:
            raise ModelBusyError(f"The deployment {deployment} runs this network", model_id=model_id)
        with self._lock, self._database.session() as session:
            row = session.get(ModelRow, model_id)
            if row is None:
                raise ModelNotFoundError(f"There is no model {model_id!r}", model_id=model_id)
            session.delete(row)
            session.commit()
            self._networks.pop(model_id, None)
            shutil.rmtree(self._folder / row.digest, ignore_errors=True)
        self._hub.publish(ModelsMessage())

    def network(self, model_id: str) -> Network:
        """Return the parsed network."""
        with self._lock:
            if model_id in self._networks:
                self._networks.move_to_end(model_id)
                return self._networks[model_id]
        network = load_network(self.path(model_id))
        self._remember(model_id, network)
        return network

    def _remember(self, model_id: str, network: Network) -> None:
        with self._lock:
            self._networks[model_id] = network
            while len(self._networks) > KEPT_NETWORKS:
                self._networks.popitem(last=False)

    def path(self, model_id: str) -> Path:
        """Return where the network's ONNX file lies."""
        row = self._row(model_id)
        return self._folder / row.digest / str(row.summary["file_name"])

    def name(self, model_id: str) -> str:
        """Return the network's name for people."""
        return self._row(model_id).name

    def preprocessing(self, model_id: str) -> Preprocessing:
        """Return how images become inputs of a network."""
        return preprocessing_of(PreprocessingOut.model_validate(self._row(model_id).preprocessing))

    def labels(self, model_id: str) -> list[str]:
        """Return the class labels of a network; empty when it has none."""
        return self._row(model_id).labels

    def sample(self, model_id: str, name: str) -> bytes:
        """Return one of the images that come with a network."""
        row = self._row(model_id)
        if name not in self._sample_names(row):
            raise NotFoundError(f"The model {row.name!r} has no sample {name!r}")
        return (self._folder / row.digest / SAMPLES_FOLDER / name).read_bytes()

    def sample_names(self, model_id: str) -> list[str]:
        """Return the names of the images that come with a network."""
        return self._sample_names(self._row(model_id))

    def examples(self) -> list[ExampleOut]:
        """List the networks that the studio can make."""
        added = {row.example: row.id for row in self._rows() if row.example is not None}
        return [
            ExampleOut(
                id=candidate.id,
                title=candidate.title,
                description=_describe(candidate),
                trained=candidate.kind == "trained",
                size_bytes=candidate.approximate_bytes,
                model_id=added.get(candidate.id),
            )
            for candidate in EXAMPLES
            if candidate.available
        ]

    def add_example(self, example_id: str) -> ModelSummaryOut:
        """Make an example network and add it; one that is there already is returned as it is."""
        chosen = example(example_id)
        present = next((row for row in self._rows() if row.example == chosen.id), None)
        if present is not None:
            return self._summary(present)
        facts = chosen.path.with_suffix(".json")
        about = json.loads(facts.read_text()) if chosen.kind == "trained" and facts.is_file() else {}
        samples = chosen.path.with_name(f"{chosen.path.stem}-samples")
        return self.add(
            io.BytesIO(build_example(chosen.id)),
            file_name=f"{chosen.id}.onnx",
            name=chosen.title,
            preprocessing=PreprocessingOut.model_validate(about["preprocessing"]) if about else None,
            labels=about.get("labels"),
            from_example=chosen,
            samples={path.name: path.read_bytes() for path in sorted(samples.glob("*.png"))},
        )

    def _rows(self) -> Sequence[ModelRow]:
        with self._database.session() as session:
            return session.scalars(select(ModelRow)).all()

    def _row(self, model_id: str) -> ModelRow:
        with self._database.session() as session:
            row = session.get(ModelRow, model_id)
        if row is None:
            raise ModelNotFoundError(f"There is no model {model_id!r}", model_id=model_id)
        return row

    def _sample_names(self, row: ModelRow) -> list[str]:
        folder = self._folder / row.digest / SAMPLES_FOLDER
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    @staticmethod
    def _summarise(network: Network) -> dict[str, object]:
        return {
            "layer_count": len(network.layers),
            "macs": network.macs,
            "parameters": network.parameters,
            "weight_bytes": network.weight_bytes,
            "inputs": [tensor_out(name, kind).model_dump() for name, kind in network.inputs.items()],
            "outputs": [tensor_out(name, kind).model_dump() for name, kind in network.outputs.items()],
        }

    def _summary(self, row: ModelRow) -> ModelSummaryOut:
        return ModelSummaryOut.model_validate(
            {
                "id": row.id,
                "name": row.name,
                "digest": row.digest,
                "size_bytes": row.size_bytes,
                "example": row.example,
                "samples": self._sample_names(row),
                "trained": row.trained,
                "added_at": row.added_at,
                "simplified": False,
                "simplifiable": False,
                "simplification": "",
                "dims": {},
                **{key: value for key, value in row.summary.items() if key != "file_name"},
            }
        )
