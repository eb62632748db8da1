"""The drawings of the page, and whether its colours can be read."""

from __future__ import annotations

import re
from importlib import resources
from math import nan

import pytest

from testlytics.report.html import svg
from tests.html_pages import Element, read


def drawn(text: str) -> Element:
    one = next(read(text).all("svg"))
    assert all(float(part) == float(part) for part in re.findall(r'"(-?[\d.]+)"', text))
    return one


def shapes(one: Element, name: str) -> list[str]:
    return [
        path.attributes["d"]
        for path in one.all("path")
        if name in {path.attributes.get("class"), None if "class" in path.attributes else name}
    ]


def test_a_strip_has_a_cell_for_each_run() -> None:
    one = drawn(svg.strip("PPF.LSP", "seven runs"))
    assert (one.attributes["width"], one.attributes["role"]) == ("21", "img")
    # Two runs that passed are one stroke with a gap, the last one is another.
    assert [path.attributes for path in one.all("path")] == [
        {"class": "p", "d": "M0 10h5M18 10h2"},
        {"class": "f", "d": "M7 0v12"},
        {"class": "l", "d": "M13 0v4m0 4v4"},
        {"class": "s", "d": "M16 0m0 8v1"},
    ]


def test_every_outcome_has_a_shape_of_its_own() -> None:
    cells = {
        letter: re.sub(r' class="\w"|<title>.*</title>', "", str(svg.strip(letter, "x")))
        for letter in "PFLS."
    }
    assert len(set(cells.values())) == len(cells)


def test_cells_that_did_not_pass_say_their_run() -> None:
    one = drawn(svg.strip("PFL", "three runs", ["first", "second", "<third>\u202e"]))
    titles = [title.text for title in one.all("title")]
    assert titles == ["three runs", "second", "<third>\\u202e"]


@pytest.mark.parametrize("letters", ["", ".", "????", "P" * 500])
def test_odd_strips(letters: str) -> None:
    assert drawn(svg.strip(letters, "x")).attributes["width"] == str(len(letters) * svg.CELL)


def test_a_spark_draws_values_where_they_are() -> None:
    one = drawn(svg.spark([1, 1, nan, 3, 3], [svg.Level(0, 3, 1), svg.Level(3, 5, 3)], "x"))
    value, before, now = (path.attributes for path in one.all("path"))
    # 120 pixels for five values: their middles are at 12, 36, 84 and 108; none is in the gap.
    assert value == {"class": "v", "d": "M12 23L36 23M84 1L108 1"}
    assert before == {"class": "g", "d": "M0 23H72"}
    assert now == {"class": "n", "d": "M72 1H120"}


@pytest.mark.parametrize("values", [[], [nan, nan], [1.0], [0.0, 0.0], [2.0, 2.0]])
def test_odd_series(values: list[float]) -> None:
    drawn(svg.spark(values, [], "x"))
    if values and values[0] == values[0]:
        drawn(svg.curve(values, [svg.Level(0, 1, values[0])], [], "x"))


def test_a_curve_marks_its_changes() -> None:
    values = [10.0] * 5 + [12.0] * 5
    levels = [svg.Level(0, 5, 10), svg.Level(5, 10, 12)]
    one = drawn(svg.curve(values, levels, [svg.Mark(5, "+20 %", bad=True)], "it rose"))
    [mark] = [line for line in one.all("line") if line.attributes["class"] == "worse"]
    assert mark.attributes["x1"] == "50.0%"
    assert [text.text for text in one.all("text")] == ["+20 %"]
    assert next(one.all("title")).text == "it rose"


def test_a_mark_at_the_end_is_written_to_the_left() -> None:
    text = svg.curve([1.0] * 10, [], [svg.Mark(9, "<b>", bad=False)], "x")
    [written] = drawn(text).all("text")
    assert (written.attributes["text-anchor"], written.text) == ("end", "<b>")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 100, [0, 50, 100]), (0, 4, [0, 1, 2, 3]), (9.7, 12.3, [10, 11, 12]), (0, 0.03, None)],
)
def test_ticks_are_round(low: float, high: float, expected: list[float] | None) -> None:
    told = svg.ticks(low, high)
    assert 2 <= len(told) <= 4
    assert all(low <= tick <= high for tick in told)
    assert expected is None or told == expected


def test_bounds_hold_all_values() -> None:
    for values in ([5.0, 6.0], [0.0, 10.0], [3.0], [0.0]):
        low, high = svg.bounds(values)
        assert low <= min(values)
        assert max(values) < high
    assert svg.bounds([1.0, 10.0])[0] == 0


def test_thinned_values_are_means() -> None:
    assert svg.thinned([1, 3, 5, 7], 2) == [2, 6]
    assert svg.thinned([1, nan], 1) == [1]
    assert svg.thinned([1, 2], 9) == [1, 2]
    assert svg.thinned([], 9) == []


def test_a_bar_stays_in_its_frame() -> None:
    for share, width in ((0.314, "31"), (2, "100"), (-1, "0")):
        assert list(drawn(svg.bar(share)).all("rect"))[1].attributes["width"] == width


def palettes() -> dict[str, dict[str, str]]:
    style = resources.files("testlytics.report.html").joinpath("page.css").read_text()
    light, dark = (
        dict(re.findall(r"--([\w-]+):(#[0-9a-fA-F]{6})", part))
        for part in re.findall(r":root\{([^}]*)\}", style)
    )
    assert light.keys() >= dark.keys()
    return {"light": light, "dark": light | dark}


def contrast(first: str, second: str) -> float:
    """WCAG 2.2: (lighter + 0.05) / (darker + 0.05), of relative luminances."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_in_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(scheme: str) -> None:
    palette = palettes()[scheme]
    pairs = [(text, back) for text in ("text", "dim", "link") for back in ("page", "card")]
    pairs += [(kind, "card") for kind in ("bad", "warn", "good")]
    pairs += [(kind, f"{kind}-back") for kind in ("bad", "warn", "good")]
    pairs += [("text", "calm-back")]
    low = {pair: contrast(*(palette[name] for name in pair)) for pair in pairs}
    assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
    # Shapes need 3:1.
    for shape in ("pass", "curve", "bad", "warn", "link"):
        assert contrast(palette[shape], palette["card"]) >= 3, shape


def test_every_colour_that_is_used_is_of_the_palette() -> None:
    style = resources.files("testlytics.report.html").joinpath("page.css").read_text()
    rules = re.sub(r":root\{[^}]*\}", "", style)
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", rules) == []
    assert set(re.findall(r"var\(--([\w-]+)\)", rules)) == set(palettes()["light"])
