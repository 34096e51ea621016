"""What changed between two versions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from platform_api.domain import diff
from platform_api.domain.diff import FieldChange, field_changes, line_changes


def test_fields_are_compared_inside_objects_and_lists_as_a_whole() -> None:
    old = {"name": "a", "retry": {"max": 1, "delay": 5}, "tags": ["x"]}
    new = {"name": "a", "retry": {"max": 2, "delay": 5}, "tags": ["x", "y"]}
    assert list(field_changes(old, new)) == [
        FieldChange("retry.max", 1, 2),
        FieldChange("tags", ["x"], ["x", "y"]),
    ]


def test_a_field_that_only_one_version_has_is_a_change_even_if_it_is_null() -> None:
    assert list(field_changes({}, {"image": None})) == [FieldChange("image", None, None)]


def test_lines_carry_their_number_in_each_version_that_has_them() -> None:
    shown = [(line.op, line.old_line, line.new_line, line.text) for line in line_changes("a\nb\nc", "a\nx\nc\nd")]
    assert shown == [
        (" ", 1, 1, "a"),
        ("-", 2, None, "b"),
        ("+", None, 2, "x"),
        (" ", 3, 3, "c"),
        ("+", None, 4, "d"),
    ]


lines = st.lists(st.sampled_from(["a", "b", "", "  c"]), max_size=12)


@given(lines, lines)
def test_both_texts_can_be_read_back_from_a_diff(before: list[str], after: list[str]) -> None:
    found = line_changes("\n".join(before), "\n".join(after))
    assert [line.text for line in found if line.op != "+"] == "\n".join(before).splitlines()
    assert [line.text for line in found if line.op != "-"] == "\n".join(after).splitlines()
    numbers = [line.old_line for line in found if line.op != "+"]
    assert numbers == list(range(1, len(numbers) + 1))


def test_two_long_scripts_without_a_common_line_are_compared_in_no_time() -> None:
    size = diff.MOST_LINES * 10
    found = line_changes("\n".join(f"a{n}" for n in range(size)), "\n".join(f"b{n}" for n in range(size)))
    assert len(found) == 2 * size
