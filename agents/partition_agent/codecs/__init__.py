"""How a tensor becomes bytes on the wire, and bytes a tensor.

Without loss: `none`, `lz4`, `zstd`, and `rle`, which leaves out zeros. With a loss that is known beforehand: `fp16` and
`int8`, each also packed by `lz4` or `zstd`, and `clip2+rle`, `clip4+rle`, `clip8+rle`. What a codec cannot hold, and
what it would only make longer, travels by another one; the header says by which.
"""

from partition_agent.codecs.coding import AS_IT_IS as AS_IT_IS
from partition_agent.codecs.coding import CODECS as CODECS
from partition_agent.codecs.coding import LOSSLESS as LOSSLESS
from partition_agent.codecs.coding import decode as decode
from partition_agent.codecs.coding import encode as encode
from partition_agent.codecs.coding import missing_codecs as missing_codecs
from partition_agent.codecs.tensors import CodecError as CodecError
from partition_agent.codecs.tensors import byte_size as byte_size
from partition_agent.codecs.tensors import dtype_of as dtype_of
from partition_agent.codecs.tensors import header_of as header_of
