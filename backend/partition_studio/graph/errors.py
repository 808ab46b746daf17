"""Why a network was not taken: one leaf for each cause, so that a program can tell them apart by `code`."""

from partition_studio.errors import NetworkError


class NetworkFileMissingError(NetworkError):
    """There is no such file, or it cannot be read."""

    code = "network_file_missing"
    next_step = "Check the path of the ONNX file."


class NotOnnxError(NetworkError):
    """The file is not an ONNX model."""

    code = "not_onnx"
    next_step = "Choose a file that was exported to ONNX (usually named *.onnx)."


class TruncatedNetworkError(NetworkError):
    """The file begins as an ONNX model and ends too early."""

    code = "truncated_network"
    next_step = "Copy or download the file again: a part of it is missing."


class NetworkTooLargeError(NetworkError):
    """The network, or what it would unfold to, is larger than the limit."""

    code = "network_too_large"
    next_step = "Use a smaller network."


class NetworkChangedError(NetworkError):
    """A file of the network is not what it was when the network was loaded."""

    code = "network_changed"
    next_step = "Load the network again, and leave its files alone while it is in use."


class ExternalDataMissingError(NetworkError):
    """A file with weights is not there."""

    code = "external_data_missing"
    next_step = "Put the weight file beside the ONNX file, or export the network as one single file."


class ExternalDataOutsideError(NetworkError):
    """A weight is said to lie outside the network's folder."""

    code = "external_data_outside"
    next_step = "Export the network again with its weights in the same folder, or as one single file."


class ExternalDataLinkError(NetworkError):
    """A file with weights is a link, or no plain file."""

    code = "external_data_link"
    next_step = "Put a plain copy of the weight file beside the ONNX file."


class ExternalDataRangeError(NetworkError):
    """A weight's place in its file, or its length, is wrong."""

    code = "external_data_range"
    next_step = "Copy the weight file again, or export the network as one single file."


class UnknownOpError(NetworkError):
    """A node's operator does not exist."""

    code = "unknown_op"
    next_step = "Export the network with standard ONNX operators only."


class UnsupportedDomainError(NetworkError):
    """A node's operator belongs to a domain that the runtime does not know."""

    code = "unsupported_domain"
    next_step = "Export the network with standard ONNX operators only."


class UnsupportedVersionError(NetworkError):
    """The file was made for a newer operator set or format than the runtime knows."""

    code = "unsupported_version"
    next_step = "Export the network again with an older opset."


class DuplicateNameError(NetworkError):
    """Two things that must differ have the same name."""

    code = "duplicate_name"
    next_step = "Export the network again; every tensor needs a name of its own."


class CyclicGraphError(NetworkError):
    """The nodes form a circle."""

    code = "cyclic_graph"
    next_step = "Export the network again without recurrence between nodes."


class UndefinedTensorError(NetworkError):
    """A node or output reads a tensor that nobody makes."""

    code = "undefined_tensor"
    next_step = "Export the network again; a part of it seems to be missing."


class UnsupportedTypeError(NetworkError):
    """A tensor has an element type that cannot travel, or is no tensor."""

    code = "unsupported_dtype"
    next_step = "Export the network with float32, float16 or integer tensors."


class UnresolvedShapeError(NetworkError):
    """The shape of a tensor cannot be known before the network runs."""

    code = "unresolved_shape"
    next_step = "Export the network with fixed shapes, or simplify it (for example with onnxslim) first."


class UnboundDimensionError(NetworkError):
    """A dimension of an input other than the batch has no fixed size."""

    code = "unbound_dimension"
    next_step = "Give its size with --dim, or export the network with a fixed input size."


class ConstantOutputError(NetworkError):
    """An output of the network does not depend on its inputs."""

    code = "constant_output"
    next_step = "Remove that output from the network and export it again."


class RandomLayerError(NetworkError):
    """A layer gives another answer each time."""

    code = "random_layer"
    next_step = "Export the network in inference mode."


class InvalidNetworkError(NetworkError):
    """The file is ONNX but breaks its rules."""

    code = "invalid_network"
    next_step = "Export the network to ONNX again with a current exporter."


class NotRunnableError(NetworkError):
    """ONNX Runtime cannot run the network."""

    code = "not_runnable"
    next_step = "Export the network to ONNX again, with operators and types that ONNX Runtime has for the CPU."


class UnknownDimensionError(NetworkError):
    """A size was given for a dimension that the network does not have, or that is not free."""

    code = "unknown_dimension"
    next_step = "Give sizes only for the free dimensions of the network's inputs."


class NoLayersError(NetworkError):
    """The network computes nothing that depends on its inputs."""

    code = "no_layers"
    next_step = "Export the network again; a part of it seems to be missing."
