"""What the processor and the accelerators mean for ONNX Runtime: needed flags, and providers that would work. Pure."""

from partition_studio.fleet.check.facts import ARCHITECTURES, DeviceFacts, Provider, PythonFound

#: numpy's packages for Python 3.11 and later are built for the second level of x86-64; the earlier ones, and ONNX
#: Runtime's own, need less. (`numpy.show_config()` tells the baseline.)
_X86_64_V2 = ("pni", "popcnt", "sse4_1", "sse4_2", "ssse3")
_X86_64 = ("sse2", "pni")
_ARM64 = ("fp", "asimd")

#: With these ONNX Runtime chooses faster kernels; without them others that are as right.
_X86_64_FASTER = ("avx", "avx2", "fma")
_ARM64_FASTER = ("asimddp",)

_NOT_IN_WHEEL = "not in the CPU package that the studio sends"


def needed_flags(facts: DeviceFacts, python: PythonFound | None) -> tuple[str, ...]:
    """Return the flags of the processor without which the runtime's packages do not start."""
    architecture = ARCHITECTURES.get(facts.machine)
    if architecture == "aarch64":
        return _ARM64
    if architecture == "x86_64":
        return _X86_64_V2 if python is not None and python.version >= (3, 11) else _X86_64
    return ()


def faster_with(facts: DeviceFacts) -> tuple[str, ...]:
    """Return the flags with which the runtime is much faster."""
    architecture = ARCHITECTURES.get(facts.machine)
    return {"aarch64": _ARM64_FASTER, "x86_64": _X86_64_FASTER}.get(architecture or "", ())


def providers(facts: DeviceFacts, *, runs: bool) -> tuple[Provider, ...]:
    """Return ONNX Runtime's providers that matter on boards; `runs` says whether the agent can run there at all."""
    kinds = {accelerator.kind for accelerator in facts.accelerators}
    is_arm = ARCHITECTURES.get(facts.machine) == "aarch64"
    cpu = "in the package that the studio sends" if runs else "the agent cannot run there"
    return (
        Provider("CPUExecutionProvider", works=runs, why=cpu),
        _absent("XNNPACKExecutionProvider", "the processor could run it, with a build of one's own"),
        _absent("CUDAExecutionProvider", _nvidia(kinds)),
        _absent("TensorrtExecutionProvider", _nvidia(kinds)),
        _absent("OpenVINOExecutionProvider", _openvino(facts, kinds)),
        _absent(
            "ACLExecutionProvider",
            "the processor could run it, with a build of one's own" if is_arm else "it is for ARM64 processors",
        ),
    )


def _absent(name: str, board: str) -> Provider:
    return Provider(name, works=False, why=f"{_NOT_IN_WHEEL}; {board}")


def _nvidia(kinds: set[str]) -> str:
    if "jetson" in kinds:
        return "the board has an NVIDIA GPU, and could run it with NVIDIA's own build for its JetPack"
    if "nvidia" in kinds:
        return "the machine has an NVIDIA GPU, and could run it with the CUDA build and NVIDIA's libraries"
    return "no NVIDIA GPU was found"


def _openvino(facts: DeviceFacts, kinds: set[str]) -> str:
    if kinds & {"intel_gpu", "intel_npu"} or facts.cpu_vendor == "GenuineIntel":
        return "the machine has Intel hardware, and could run it with Intel's build"
    return "no Intel processor, GPU or NPU was found"
