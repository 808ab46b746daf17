"""Random networks, random tiles: the parts equal the whole, or the refusal says why."""

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from partition_studio.partition.draft import ShardError
from tests.core.networks import load

from .plans import explains
from .random_maps import loose_ends, map_networks
from .tiles import Builder, divided, equal, independent, require_exact_pieces, spatial

relaxed = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])


def numbers(count: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.sampled_from([1.0, 1.0, 2.0, 3.5]), min_size=count, max_size=count)


#: Numbers of rows and of columns: two to six tiles.
grids = st.sampled_from([(2, 1), (3, 1), (4, 1), (6, 1), (1, 2), (1, 3), (2, 2), (3, 2), (2, 3)]).flatmap(
    lambda grid: st.tuples(numbers(grid[0]), numbers(grid[1]))
)
rows_alone = st.integers(2, 6).flatmap(numbers)


@relaxed
@given(b=map_networks(), grid=grids, data=st.data())
def test_random_exact_tiles_equal_the_whole(
    b: Builder, grid: tuple[list[float], list[float]], data: st.DataObject
) -> None:
    model = b.model(*loose_ends(b))
    layers = [layer.name for layer in load(model).layers]
    exchange = data.draw(st.lists(st.sampled_from(layers), max_size=2, unique=True))
    try:
        equal(model, spatial(layers, *grid, exchange_before=exchange), may_be_zero=True)
    except ShardError as error:
        assert explains(error)
        event(f"refused: {error.message.split(':')[0][:22]}")
    else:
        event("divided")


@relaxed
@given(b=map_networks(columns=False), rows=rows_alone)
def test_random_exact_rows_equal_the_whole(b: Builder, rows: list[float]) -> None:
    model = b.model(*loose_ends(b))
    layers = [layer.name for layer in load(model).layers]
    try:
        equal(model, spatial(layers, rows), may_be_zero=True)
    except ShardError as error:
        assert explains(error)


@relaxed
@given(b=map_networks(most=4), grid=grids)
def test_random_independent_tiles_run_and_their_exact_pieces_are_exact(
    b: Builder, grid: tuple[list[float], list[float]]
) -> None:
    model = b.model(*loose_ends(b))
    layers = [layer.name for layer in load(model).layers]
    try:
        parted, result = divided(model, independent(layers, *grid))
    except ShardError as error:
        assert explains(error)
        event(f"refused: {error.message.split(':')[0][:22]}")
    else:
        event("divided")
        result.require_equal()
        require_exact_pieces(model, parted)
