"""How sessions of ONNX Runtime are set up here; the one place, so that ahead of time and now are the same."""

from typing import Any

#: The files of a model that was optimised ahead, in a folder of its own.
OPTIMISED, OPTIMISED_WEIGHTS = "model.onnx", "weights.bin"


def session_options(threads: int, *, optimised: bool = False) -> Any:
    """Return the options of a session with that many threads, of a model as it came or of one optimised ahead.

    Threads that spin while they wait take the core from the network threads, and from other stages. Without a memory
    pattern the arena holds less (DenseNet-121 21 MB in place of 33) at the same speed.
    """
    import onnxruntime

    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = levels.ORT_DISABLE_ALL if optimised else levels.ORT_ENABLE_ALL
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.log_severity_level = 3
    return options


def saving_options() -> Any:
    """Return the options of the session that optimises a model and saves it as `OPTIMISED` in the working folder.

    It packs no weights, for it never runs: that would only take memory. Whoever loads the model packs them.
    """
    from partition_agent.loading.references import MIN_BYTES

    options = session_options(1)
    options.optimized_model_filepath = OPTIMISED
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", OPTIMISED_WEIGHTS),
        ("session.optimized_model_external_initializers_min_size_in_bytes", str(MIN_BYTES)),
        ("session.disable_prepacking", "1"),
    ):
        options.add_session_config_entry(key, value)
    return options
