"""Open a session of ONNX Runtime on the first execution provider of a wish list that really computes it."""

import warnings
from pathlib import Path
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from partition_agent.loading.options import session_options
from partition_agent.loading.stage_errors import first_line

CPU = "CPUExecutionProvider"


class Opened(NamedTuple):
    """A session, the provider that computes it, and sentences on what was wished for and is not so."""

    session: Any
    provider: str
    notes: Tuple[str, ...]


def available_providers() -> Tuple[str, ...]:
    """Return the execution providers that the device's ONNX Runtime was built with."""
    import onnxruntime

    return tuple(onnxruntime.get_available_providers())


def wants_processor_first(wished: Sequence[str]) -> bool:
    """Return whether nothing comes before the processor."""
    return not wished or wished[0] == CPU


def open_session(path: Path, stage: str, wished: Sequence[str], threads: int) -> Opened:
    """Open a session of a model as it came, on the first of `wished` that works, on the processor in the end.

    Raises what ONNX Runtime raises when the processor cannot either.
    """
    refused: List[str] = []
    for provider in wished:
        if provider == CPU:
            break
        session, reason = _try(path, provider, threads)
        if session is not None:
            return Opened(session, provider, _notes(stage, provider, refused))
        refused.append(reason)
    return Opened(open_on_processor(path, threads), CPU, _notes(stage, CPU, refused))


def open_on_processor(path: Path, threads: int, *, optimised: bool = False) -> Any:
    """Open a session on the processor. Raises what ONNX Runtime raises."""
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), session_options(threads, optimised=optimised), providers=[CPU])


def _try(path: Path, provider: str, threads: int) -> Tuple[Any, str]:
    """Return a session that this provider computes at least in part; or None, and why not."""
    import onnxruntime

    there = available_providers()
    if provider not in there:
        return None, f"{provider} is not in the device's ONNX Runtime (it has {', '.join(there)})"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # ONNX Runtime's own fallback prints to the console and tells nobody.
            session = onnxruntime.InferenceSession(
                str(path),
                session_options(threads),
                providers=[(provider, _options(provider, threads)), (CPU, {})],
                enable_fallback=0,
            )
    except Exception as error:  # ONNX Runtime has no common base of its errors
        return None, f"{provider} cannot load it: {first_line(error)}"
    if provider not in session.get_providers():
        return None, f"{provider} could not be set up on the device"
    if _idle(session, provider):
        return None, f"{provider} computes none of its layers"
    return session, ""


def _options(provider: str, threads: int) -> "dict[str, str]":
    # XNNPACK computes with threads of its own.
    return {"intra_op_num_threads": str(threads)} if provider == "XnnpackExecutionProvider" else {}


def _idle(session: Any, provider: str) -> Optional[bool]:
    """Return whether no layer was given to a provider; None where ONNX Runtime (before 1.24) does not say."""
    tell = getattr(session, "get_provider_graph_assignment_info", None)
    if tell is None:
        return None
    try:
        return all(part.ep_name != provider for part in tell())
    except Exception:  # ONNX Runtime has no common base of its errors; a figure that is missing is no fault
        return None


def _notes(stage: str, provider: str, refused: Sequence[str]) -> Tuple[str, ...]:
    where = "the CPU" if provider == CPU else provider
    return tuple(f"the stage {stage!r} runs on {where}: {reason}" for reason in refused)
