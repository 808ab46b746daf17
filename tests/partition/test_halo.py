"""Interval maths, held against windows counted one by one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from partition_studio.partition.halo import Interval, TransposedWindow, Window, hull, mirrored_piece, same_padding

relaxed = settings(deadline=None)
thorough = settings(deadline=None, max_examples=200)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    size, kernel = draw(st.integers(1, 20)), draw(st.integers(1, 5))
    stride, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    ceil = draw(st.booleans())
    most = kernel - 1 if ceil else 6  # Only pools round up, and their padding is smaller than their kernel.
    before, after = draw(st.integers(0, most)), draw(st.integers(0, most))
    room = size + before + after - (dilation * (kernel - 1) + 1)
    outputs = (-(-room // stride) if ceil else room // stride) + 1
    if room < 0:
        size, outputs = size - room, 1
    if ceil and (outputs - 1) * stride >= size + before:
        outputs -= 1  # The runtime leaves out a window that begins in the padding behind.
    return Window(size, outputs, kernel, stride, dilation, before, after, ceil)


def read_by(window: Window, output: int) -> set[int]:
    """Return the inputs that one window reads."""
    places = (output * window.stride - window.before + tap * window.dilation for tap in range(window.kernel))
    return {place for place in places if 0 <= place < window.size}


def pieces_of(total: int, draw: st.DrawFn) -> Interval:
    start = draw(st.integers(0, total - 1))
    return Interval(start, draw(st.integers(start + 1, total)))


@thorough
@given(data=st.data(), window=windows())
def test_a_piece_reads_what_its_windows_read(data: st.DataObject, window: Window) -> None:
    wanted = data.draw(st.composite(lambda draw: pieces_of(window.outputs, draw))())
    piece = window.piece(wanted)
    assert piece.made.holds(wanted)
    assert 0 <= piece.source.start < piece.source.stop <= window.size
    assert min(piece.before, piece.after) >= 0
    for output in range(*wanted):
        assert all(piece.source.start <= place < piece.source.stop for place in read_by(window, output))


@thorough
@given(data=st.data(), window=windows())
def test_a_piece_computed_by_itself_has_as_many_outputs_at_the_same_places(data: st.DataObject, window: Window) -> None:
    piece = window.piece(data.draw(st.composite(lambda draw: pieces_of(window.outputs, draw))()))
    room = piece.source.length + piece.before + piece.after - window.extent
    count = (-(-room // window.stride) if window.ceil else room // window.stride) + 1
    if window.ceil and (count - 1) * window.stride >= piece.source.length + piece.before:
        count -= 1
    assert piece == window.whole or count == piece.made.length
    assert piece.source.start - piece.before == piece.made.start * window.stride - window.before


@relaxed
@given(window=windows())
def test_all_of_an_axis_is_the_layer_as_it_is(window: Window) -> None:
    assert window.piece(Interval(0, window.outputs)) == window.whole


@relaxed
@given(data=st.data(), window=windows())
def test_padding_is_added_at_true_borders_only(data: st.DataObject, window: Window) -> None:
    piece = window.piece(data.draw(st.composite(lambda draw: pieces_of(window.outputs, draw))()))
    assert not piece.before or piece.source.start == 0
    assert not piece.after or piece.source.stop == window.size


@relaxed
@given(data=st.data(), window=windows())
def test_a_bounded_piece_reads_nothing_beyond_its_bounds(data: st.DataObject, window: Window) -> None:
    bounds = data.draw(st.composite(lambda draw: pieces_of(window.size, draw))())
    inside = [
        o for o in range(window.outputs) if any(bounds.start <= place < bounds.stop for place in read_by(window, o))
    ]
    if inside:
        piece = window.piece(Interval(inside[0], inside[-1] + 1), bounds)
        assert bounds.holds(piece.source)


@thorough
@given(
    data=st.data(),
    size=st.integers(1, 12),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 3),
)
def test_a_transposed_piece_reads_every_input_that_reaches_it(
    data: st.DataObject, size: int, kernel: int, stride: int, dilation: int
) -> None:
    extra = data.draw(st.integers(0, max(stride, dilation) - 1))
    full = (size - 1) * stride + dilation * (kernel - 1) + 1 + extra
    before = data.draw(st.integers(0, min(3, full - 1)))
    after = data.draw(st.integers(0, min(3, full - 1 - before)))
    window = TransposedWindow(size, full - before - after, kernel, stride, dilation, before, after, extra)
    wanted = data.draw(st.composite(lambda draw: pieces_of(window.outputs, draw))())
    piece = window.piece(wanted)
    reaching = {
        i
        for i in range(size)
        for tap in range(kernel)
        if wanted.start <= i * stride + tap * dilation - before < wanted.stop
    }
    assert all(piece.source.start <= place < piece.source.stop for place in reaching)
    made = (piece.source.length - 1) * stride + window.extent + piece.extra - piece.before - piece.after
    assert made == wanted.length
    assert piece.source.start * stride + piece.before == wanted.start + before
    assert min(piece.before, piece.after, piece.extra) >= 0


@relaxed
@given(data=st.data(), size=st.integers(2, 12), reach=st.integers(0, 1))
def test_a_mirrored_piece_holds_what_its_padding_repeats(data: st.DataObject, size: int, reach: int) -> None:
    before, after = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    wanted = data.draw(st.composite(lambda draw: pieces_of(size + before + after, draw))())
    piece = mirrored_piece(wanted, size, before, after, reach)
    mode = "reflect" if reach else "edge"
    whole = [f"row {place}" for place in _padded(list(range(size)), before, after, mode)]
    part = [f"row {place}" for place in _padded(list(range(*piece.source)), piece.before, piece.after, mode)]
    assert piece.made.holds(wanted)
    assert part == whole[piece.made.start : piece.made.stop]


def _padded(rows: list[int], before: int, after: int, mode: str) -> list[int]:
    if mode == "edge":
        return [rows[0]] * before + rows + [rows[-1]] * after
    return rows[1 : before + 1][::-1] + rows + rows[::-1][1 : after + 1]


def test_same_padding_puts_the_odd_one_where_its_name_says() -> None:
    assert same_padding(5, 4, 2, upper=True) == (1, 2)
    assert same_padding(5, 4, 2, upper=False) == (2, 1)


def test_same_padding_of_a_stride_beyond_the_window_is_what_the_runtime_takes() -> None:
    assert same_padding(6, 1, 2, upper=True) == same_padding(6, 1, 2, upper=False) == (0, -1)
    assert same_padding(9, 1, 3, upper=True) == (-1, -1)
    assert same_padding(9, 1, 3, upper=False) == (0, -2)


def test_the_hull_of_a_box_and_nothing_is_the_box() -> None:
    box = (Interval(0, 1), Interval(2, 5))
    assert hull(None, box) == hull(box, None) == box
    assert hull(box, (Interval(0, 1), Interval(7, 9))) == (Interval(0, 1), Interval(2, 9))
