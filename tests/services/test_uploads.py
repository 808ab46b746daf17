"""Files from outside: a name cannot lead out of its folder, and a size is noticed while it comes in."""

import io
from pathlib import Path

import pytest

from partition_studio.errors import BadInputError
from partition_studio.services.uploads import UploadTooLargeError, copy_upload, plain_name


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/a", "../a", "a\nb", "a\0b", "n" * 201, "ü" * 101])
def test_a_name_that_is_not_plain_is_refused(name: str) -> None:
    with pytest.raises(BadInputError):
        plain_name(name)


@pytest.mark.parametrize("name", ["net.onnx", "weights.data", "with space.onnx", "a\\b", "ü" * 100])
def test_a_plain_name_is_taken_as_it_is(name: str) -> None:
    assert plain_name(name) == name


def test_too_much_is_refused_before_all_of_it_was_read(tmp_path: Path) -> None:
    source = io.BytesIO(bytes(5 << 20))
    with pytest.raises(UploadTooLargeError, match="net"):
        copy_upload(source, tmp_path / "net", most_bytes=1 << 20)
    assert source.tell() < 5 << 20
    source.seek(0)
    copy_upload(source, tmp_path / "net", most_bytes=5 << 20)
    assert (tmp_path / "net").stat().st_size == 5 << 20
