import pytest
from hypothesis import given
from hypothesis import strategies as st

from concutil._cli.arrivals import per_interval
from concutil._cli.plot import (
    ASCII,
    BLOCKS,
    LABEL_COLUMNS,
    Glyphs,
    bars,
    glyphs_for,
    interval_that_fits,
    progress_bar,
    ruler,
    table,
)

glyph_sets = st.sampled_from([ASCII, BLOCKS])


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=40),
    st.integers(1, 9),
    glyph_sets,
)
def test_bars_keep_their_frame(counts: list[int], height: int, glyphs: Glyphs) -> None:
    """A plot has its height and no more than a column per count."""
    lines = bars(counts, top=50, limit=10, height=height, glyphs=glyphs)
    assert len(lines) == height
    assert max(map(len, lines)) <= LABEL_COLUMNS + len(counts)


@given(st.integers(0, 48))
def test_a_bar_is_as_high_as_its_count(count: int) -> None:
    """Each eighth of a line stands for its part of the full height."""
    lines = bars([count], top=48, limit=48, height=6, glyphs=BLOCKS)
    eighths = [
        BLOCKS.levels.find(line[LABEL_COLUMNS:].replace(BLOCKS.limit, "")[:1])
        for line in lines
    ]
    assert sum(eighths) == count


def test_the_limit_is_drawn_where_it_is() -> None:
    """The line of the limit is labelled, and empty cells on it are marked."""
    assert bars([4, 0, 2], top=4, limit=2, height=2, glyphs=ASCII) == [
        "     2 +#--",
        "       |# #",
    ]


def test_the_top_is_labelled() -> None:
    """The first line says which count the full height is."""
    assert bars([8], top=8, limit=2, height=4, glyphs=ASCII)[0] == "     8 |#"


@given(st.floats(0, 60), st.integers(10, 120))
def test_intervals_fit_into_the_columns(span: float, columns: int) -> None:
    """The interval is a multiple of 100 ms that needs no more than the columns."""
    interval = interval_that_fits(span, columns=columns)
    assert round(interval * 10) == pytest.approx(interval * 10)
    assert len(per_interval([0.0, span], interval)) <= columns


def test_the_interval_is_the_least_one() -> None:
    """What fits in intervals of 100 ms is not drawn any coarser."""
    assert interval_that_fits(4.99, columns=50) == pytest.approx(0.1)
    assert interval_that_fits(5.0, columns=50) == pytest.approx(0.2)


def test_the_ruler_counts_seconds() -> None:
    """A second begins at its column, and labels that would touch are left out."""
    indent = " " * LABEL_COLUMNS
    assert ruler(21, interval=0.1) == f"{indent}0 s       1 s       2 s"
    assert ruler(10, interval=0.5) == f"{indent}0 s 2 s 4 s"


def test_tables_are_aligned() -> None:
    """The first column is flush left, the others are flush right."""
    assert table([["", "ours"], ["refused", "7"]]) == [
        "         ours",
        "refused     7",
    ]


@given(st.floats(-1, 2), st.integers(1, 40), glyph_sets)
def test_a_progress_bar_keeps_its_width(
    fraction: float, width: int, glyphs: Glyphs
) -> None:
    """A bar is as wide as asked, whatever part of it is full."""
    assert len(progress_bar(fraction, width=width, glyphs=glyphs)) == width


def test_blocks_need_an_encoding_that_has_them() -> None:
    """Where block characters can't be encoded, the plot is plain ASCII."""
    assert glyphs_for("utf-8") is BLOCKS
    assert [glyphs_for(name) for name in ("ascii", "latin-1", "no such", None)] == [
        ASCII
    ] * 4
