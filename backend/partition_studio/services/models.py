"""The networks that the studio holds."""

import io
import json
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from weakref import WeakKeyDictionary

from sqlalchemy import select

from partition_studio.errors import BadInputError, ConflictError, NotFoundError
from partition_studio.graph.examples import EXAMPLES, Example, build_example, example
from partition_studio.graph.frames import Preprocessing
from partition_studio.graph.load import load_network
from partition_studio.graph.network import Network, NetworkForm
from partition_studio.schemas import (
    ExampleOut,
    ModelOut,
    ModelsMessage,
    ModelSummaryOut,
    PreprocessingOut,
)
from partition_studio.services.forms import ChosenForm, NotSimplifiableError, choose, judge
from partition_studio.services.model_out import blocks_out, describe, layer_out, summarise, tensor_out
from partition_studio.services.model_use import ModelUse, Use
from partition_studio.services.uploads import copy_upload, plain_name
from partition_studio.services.vetting import vet
from partition_studio.store.database import Database
from partition_studio.store.tables import ModelRow
from partition_studio.telemetry.live import LiveHub

SAMPLES_FOLDER = "samples"

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


def preprocessing_of(document: PreprocessingOut) -> Preprocessing:
    """Return the core's form of how images become inputs."""
    return Preprocessing(
        channel_order=document.channel_order,
        scale=document.scale,
        mean=tuple(document.mean),
        std=tuple(document.std),
    )


class ModelService:
    """Add, list, show and remove networks. Every call may block; thread-safe."""

    def __init__(
        self, data_dir: Path, database: Database, hub: LiveHub, deployment_of: Callable[[str], str | None]
    ) -> None:
        """Open the networks of a data folder; `deployment_of` tells which active deployment runs a network."""
        self._use = ModelUse(database, deployment_of)
        self._folder = data_dir / "models"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = database
        self._hub = hub
        self._lock = threading.Lock()
        self._networks: OrderedDict[tuple[str, NetworkForm], Network] = OrderedDict()
        self._descriptions: WeakKeyDictionary[Network, dict[str, Any]] = WeakKeyDictionary()

    def all(self) -> list[ModelSummaryOut]:
        """List the networks, newest first."""
        with self._database.session() as session:
            rows = session.scalars(select(ModelRow).order_by(ModelRow.added_at.desc())).all()
        use = self._use.of([row.id for row in rows])
        return [self._summary(row, use[row.id]) for row in rows]

    def show(self, model_id: str) -> ModelOut:
        """Show a network whole."""
        row = self._row(model_id)
        network = self.network(model_id)
        return ModelOut(
            **self._summary(row).model_dump(),
            **self._described(network),
            preprocessing=PreprocessingOut.model_validate(row.preprocessing),
            labels=row.labels,
        )

    def _described(self, network: Network) -> dict[str, Any]:
        """Return what a network consists of, as the API tells it; kept for as long as the network is."""
        with self._lock:
            found = self._descriptions.get(network)
        if found is None:
            found = {
                "layers": [layer_out(layer) for layer in network.layers],
                "blocks": blocks_out(network),
                "tensors": [tensor_out(name, kind) for name, kind in network.tensors.items()],
            }
            with self._lock:
                self._descriptions[network] = found
        return found

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

        `simplify` None: simplified where that passes its check; `dims` are the sizes of free dimensions. Raises
        NetworkError when the file cannot be taken, ModelExistsError when it is there already.
        """
        incoming = Path(tempfile.mkdtemp(prefix="incoming-", dir=self._folder))
        try:
            model_file = plain_name(file_name)
            copy_upload(file, incoming / model_file)
            for data_name, part in (data or {}).items():
                if plain_name(data_name) in (model_file, SAMPLES_FOLDER):
                    raise BadInputError(f"{data_name!r} cannot be the name of a data file beside {file_name!r}")
                copy_upload(part, incoming / data_name)
            size_bytes = sum(part.stat().st_size for part in incoming.iterdir())
            if from_example is None:
                vet(incoming / model_file, size_bytes, dims or {})
            chosen = choose(
                incoming / model_file, size_bytes, simplify=simplify, dims=dims or {}, trusted=from_example is not None
            )
            network = load_network(incoming / model_file, form=chosen.form)
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
                summary=summarise(network) | chosen.summary() | {"file_name": model_file},
                preprocessing=(preprocessing or PreprocessingOut()).model_dump(),
                labels=list(labels or ()),
                added_at=datetime.now(UTC),
            )
            self._keep(row, incoming)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        # Not remembered: its weights are read from where it was loaded, and it was moved since.
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

    def change(self, model_id: str, *, name: str | None = None, simplified: bool | None = None) -> ModelSummaryOut:
        """Name a network anew, or choose its form; what is None stays. Raises what `choose` does, BadInputError."""
        if name is not None and not name.strip():
            raise BadInputError("A network needs a name", next_step="Type one with at least one letter.")
        if simplified is not None:
            self.choose(model_id, simplified=simplified)
        if name is not None:
            self._name(model_id, name.strip())
        return self._summary(self._row(model_id))

    def _name(self, model_id: str, name: str) -> None:
        with self._lock, self._database.session() as session:
            row = session.get(ModelRow, model_id)
            if row is None:
                raise ModelNotFoundError(f"There is no model {model_id!r}", model_id=model_id)
            row.name = name
            session.commit()
        self._hub.publish(ModelsMessage())

    def choose(self, model_id: str, *, simplified: bool) -> ModelSummaryOut:
        """Use a network simplified, or as it is in the file; saved plans stay those of the form they were made for.

        Raises ModelBusyError while a deployment runs it, NotSimplifiableError where the simplified form does not pass.
        """
        row = self._row(model_id)
        chosen = ChosenForm.of_summary(row.summary)
        if simplified == chosen.form.simplified:
            return self._summary(row)
        self._refuse_busy(model_id)
        path = self._path(row)
        if simplified and not chosen.sentence:
            verdict = judge(path, row.size_bytes, dict(chosen.form.dims))
            chosen = replace(chosen, simplifiable=verdict.passes, sentence=verdict.sentence)
        if simplified and not chosen.simplifiable:
            self._settle(model_id, chosen.summary())
            raise NotSimplifiableError(chosen.sentence, model_id=model_id)
        chosen = replace(chosen, form=replace(chosen.form, simplified=simplified))
        network = load_network(path, form=chosen.form)
        self._settle(model_id, summarise(network) | chosen.summary())
        self._remember(model_id, network)
        return self._summary(self._row(model_id))

    def _settle(self, model_id: str, facts: Mapping[str, object]) -> None:
        self._refuse_busy(model_id)
        with self._lock, self._database.session() as session:
            row = session.get(ModelRow, model_id)
            if row is None:
                raise ModelNotFoundError(f"There is no model {model_id!r}", model_id=model_id)
            row.summary = {**row.summary, **facts}
            session.commit()
        self._hub.publish(ModelsMessage())

    def _refuse_busy(self, model_id: str) -> None:
        deployment = self._use.deployment_of(model_id)
        if deployment is not None:
            raise ModelBusyError(f"The deployment {deployment} runs this network", model_id=model_id)

    def remove(self, model_id: str) -> None:
        """Remove a network and its saved plans. Raises ModelBusyError while a deployment runs it."""
        self._refuse_busy(model_id)
        with self._lock, self._database.session() as session:
            row = session.get(ModelRow, model_id)
            if row is None:
                raise ModelNotFoundError(f"There is no model {model_id!r}", model_id=model_id)
            session.delete(row)
            session.commit()
            for key in [key for key in self._networks if key[0] == model_id]:
                del self._networks[key]
            shutil.rmtree(self._folder / row.digest, ignore_errors=True)
        self._hub.publish(ModelsMessage())

    def network(self, model_id: str) -> Network:
        """Return the parsed network, in the form that was chosen for it."""
        row = self._row(model_id)
        form = ChosenForm.of_summary(row.summary).form
        with self._lock:
            if (model_id, form) in self._networks:
                self._networks.move_to_end((model_id, form))
                return self._networks[model_id, form]
        network = load_network(self._path(row), form=form)
        self._remember(model_id, network)
        return network

    def _remember(self, model_id: str, network: Network) -> None:
        with self._lock:
            self._networks[model_id, network.form] = network
            while len(self._networks) > KEPT_NETWORKS:
                self._networks.popitem(last=False)

    def path(self, model_id: str) -> Path:
        """Return where the network's ONNX file lies."""
        return self._path(self._row(model_id))

    def _path(self, row: ModelRow) -> Path:
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
                description=describe(candidate),
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
        return self.add(
            io.BytesIO(build_example(chosen.id)),
            file_name=f"{chosen.id}.onnx",
            name=chosen.title,
            preprocessing=PreprocessingOut.model_validate(about["preprocessing"]) if about else None,
            labels=about.get("labels"),
            from_example=chosen,
            samples={path.name: path.read_bytes() for path in chosen.sample_files},
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

    def _summary(self, row: ModelRow, use: Use | None = None) -> ModelSummaryOut:
        use = use or self._use.of([row.id])[row.id]
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
                "plan_count": use.plan_count,
                "run_count": use.run_count,
                "deployment_id": use.deployment_id,
                **ChosenForm.of_summary(row.summary).summary(),
                **{key: value for key, value in row.summary.items() if key != "file_name"},
            }
        )
