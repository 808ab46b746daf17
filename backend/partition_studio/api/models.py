"""Networks: add, look at, remove; examples; their sample images."""

from typing import Annotated

from fastapi import APIRouter, Form, Response, UploadFile
from pydantic import Field, TypeAdapter

from partition_studio.api.deps import ServicesDep
from partition_studio.schemas import (
    ExampleOut,
    ModelChangeIn,
    ModelOut,
    ModelSummaryOut,
    PreprocessingOut,
    WeightFiguresOut,
    WeightOut,
)
from partition_studio.schemas.base import GivenName

router = APIRouter(tags=["models"])

_DIMS = TypeAdapter(dict[str, Annotated[int, Field(gt=0, lt=2**31)]])


@router.get("/models")
def list_models(services: ServicesDep) -> list[ModelSummaryOut]:
    """List the networks that the studio holds, newest first."""
    return services.models.all()


@router.post("/models", status_code=201)
def add_model(
    services: ServicesDep,
    file: UploadFile,
    name: Annotated[GivenName | None, Form()] = None,
    preprocessing: Annotated[str | None, Form(description="A PreprocessingOut as JSON.")] = None,
    labels: Annotated[str | None, Form(description="Class labels, one a line.")] = None,
    simplify: Annotated[bool | None, Form(description="Left out: simplified where that passes its check.")] = None,
    dims: Annotated[str | None, Form(description='Sizes of free dimensions, as JSON: `{"N": 4}`.')] = None,
    data: list[UploadFile] | None = None,
) -> ModelSummaryOut:
    """Add an ONNX file; `data` holds its external data files, under the names that the ONNX file gives them."""
    return services.models.add(
        file.file,
        file_name=file.filename or "model.onnx",
        name=name,
        data={part.filename or "": part.file for part in data or []},
        preprocessing=None if preprocessing is None else PreprocessingOut.model_validate_json(preprocessing),
        labels=None if labels is None else labels.splitlines(),
        simplify=simplify,
        dims=None if dims is None else _DIMS.validate_json(dims),
    )


@router.get("/models/{model_id}", response_model=ModelOut)
def show_model(services: ServicesDep, model_id: str) -> Response:
    """Show a network: layers, shapes, MACs, parameters, activation bytes."""
    # Written as it is: FastAPI would check thousands of layers once more.
    return Response(services.models.show(model_id).model_dump_json(), media_type="application/json")


@router.patch("/models/{model_id}")
def change_model(services: ServicesDep, model_id: str, change: ModelChangeIn) -> ModelSummaryOut:
    """Name a network, or choose whether it is used simplified; saved plans are for the form that they were made for."""
    return services.models.change(model_id, name=change.name, simplified=change.simplified)


@router.delete("/models/{model_id}", status_code=204)
def remove_model(services: ServicesDep, model_id: str) -> None:
    """Remove a network and its saved plans."""
    services.models.remove(model_id)


@router.get("/models/{model_id}/weights")
def list_weights(services: ServicesDep, model_id: str, layer: str) -> list[WeightOut]:
    """List the weights of a layer."""
    return services.weights.of_layer(model_id, layer)


@router.get("/models/{model_id}/weights/figures")
def show_weight(services: ServicesDep, model_id: str, name: str) -> WeightFiguresOut:
    """Look at what a weight holds: range, mean, deviation, zeros, histogram."""
    return services.weights.figures(model_id, name)


@router.get("/models/{model_id}/samples/{sample}", response_class=Response)
def show_sample(services: ServicesDep, model_id: str, sample: str) -> Response:
    """Get one of the images that come with a network."""
    return Response(services.models.sample(model_id, sample), media_type="image/png")


@router.get("/examples")
def list_examples(services: ServicesDep) -> list[ExampleOut]:
    """List the networks that the studio can make on request."""
    return services.models.examples()


@router.post("/examples/{example_id}", status_code=201)
def add_example(services: ServicesDep, example_id: str) -> ModelSummaryOut:
    """Add an example network."""
    return services.models.add_example(example_id)
