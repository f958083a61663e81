"""Tables and charts on slides, of decks that python-pptx writes."""

from __future__ import annotations

import io
from datetime import date

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from ingest.loaders import load_bytes

PLACE = (Inches(1), Inches(1), Inches(4), Inches(2))


def charted(numbers: CategoryChartData, axis: str = "") -> str:
    """The text of a slide with one chart."""
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    chart = slide.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, *PLACE, numbers).chart
    if axis:
        chart.value_axis.axis_title.text_frame.text = axis
    return saved(deck)


def saved(deck: pptx.presentation.Presentation) -> str:
    buffer = io.BytesIO()
    deck.save(buffer)
    return load_bytes(buffer.getvalue(), uri="deck.pptx").text


def test_numbers_of_charts_stand_in_their_formats() -> None:
    numbers = CategoryChartData(number_format="0%")  # type: ignore[no-untyped-call]
    numbers.categories = [date(2024, 1, 1), date(2024, 2, 1)]
    numbers.add_series("Share", (0.1, 0.25))  # type: ignore[no-untyped-call]
    assert charted(numbers, axis="of all pumps") == (
        "(of all pumps)\n\n|  | Share |\n| --- | --- |\n| 2024-01-01 | 10% |\n| 2024-02-01 | 25% |"
    )


def test_categories_in_groups_are_told_with_their_group() -> None:
    numbers = CategoryChartData()  # type: ignore[no-untyped-call]
    for country, cities in (("Spain", ("Lugo", "Vigo")), ("Peru", ("Lima",))):
        group = numbers.add_category(country)  # type: ignore[no-untyped-call]
        for city in cities:
            group.add_sub_category(city)
    numbers.add_series("Sold", (1, 2, 3))  # type: ignore[no-untyped-call]
    assert charted(numbers).splitlines()[2:] == [
        "| Spain Lugo | 1 |",
        "| Spain Vigo | 2 |",
        "| Peru Lima | 3 |",
    ]


def test_what_is_merged_downwards_stands_in_each_row() -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    grid = slide.shapes.add_table(3, 2, *PLACE).table
    for place, text in enumerate(("Part", "Price", "Seal", "12", "", "15")):
        grid.cell(place // 2, place % 2).text = text
    grid.cell(1, 0).merge(grid.cell(2, 0))
    assert saved(deck) == "| Part | Price |\n| --- | --- |\n| Seal | 12 |\n| Seal | 15 |"
