"""Cursors: any page size, both ways, whatever is filtered and whatever changes in between."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mktg_integration.sandbox.kit.paging import PageQuery, paginate

from .calling import Kit, people


@given(
    keys=st.sets(st.integers(1, 60)),
    visible=st.sets(st.integers(1, 60)),
    size=st.integers(1, 7),
    descending=st.booleans(),
)
def test_walking_either_way_meets_every_visible_row_once(
    keys: set[int], visible: set[int], size: int, descending: bool
) -> None:
    ordered = sorted(keys)
    expected = sorted(keys & visible, reverse=descending)

    def page(query: PageQuery) -> tuple[list[int], dict[str, object]]:
        found = paginate(ordered, lambda key: key if key in visible else None, query, descending=descending)
        return found.rows, found.pagination

    forward: list[int] = []
    cursor = None
    while True:
        rows, pagination = page(PageQuery(per_page=size, after=cursor))
        assert pagination["has_previous_page"] == bool(forward)
        forward += rows
        if not pagination["has_next_page"]:
            break
        cursor = str(pagination["end_cursor"])
    assert forward == expected
    if not expected:
        assert (pagination["start_cursor"], pagination["end_cursor"]) == (None, None)
        return
    backward: list[int] = rows
    while pagination["has_previous_page"]:
        rows, pagination = page(PageQuery(per_page=size, before=str(pagination["start_cursor"])))
        assert pagination["has_next_page"]
        backward = rows + backward
    assert backward == expected


def test_cursors_are_the_documents(kit: Kit) -> None:
    kit.load(tags=[{"id": i, "name": f"Tag {i}"} for i in (13, 14)])
    page = kit.call("GET /v4/tags?per_page=1").json["pagination"]
    assert page == {
        "has_previous_page": False,
        "has_next_page": True,
        "start_cursor": "WzE0XQ==",
        "end_cursor": "WzE0XQ==",
        "per_page": 1,
    }
    assert kit.ids("GET /v4/tags?after=WzE0XQ==") == [13]
    assert kit.ids("GET /v4/tags?before=WzEzXQ==") == [14]


def test_a_cursor_survives_the_deletion_of_its_row(kit: Kit) -> None:
    for number in range(4):
        kit.call("POST /v4/custom_fields", {"label": f"Field {number}"})
    page = kit.call("GET /v4/custom_fields?per_page=2").json
    kit.call("DELETE /v4/custom_fields/3")
    assert kit.ids(f"GET /v4/custom_fields?after={page['pagination']['end_cursor']}") == [2, 1]


def test_pages_of_a_list_sorted_by_time(kit: Kit) -> None:
    kit.load(subscribers=people(*["active"] * 7))
    seen: list[int] = []
    cursor = ""
    while True:
        page = kit.call(f"GET /v4/subscribers?sort_field=updated_at&per_page=3&after={cursor}").json
        seen += [row["id"] for row in page["subscribers"]]
        if not page["pagination"]["has_next_page"]:
            break
        cursor = page["pagination"]["end_cursor"].replace("+", "%2B")
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_the_total_is_counted_when_asked_for(kit: Kit) -> None:
    kit.load(subscribers=people("active", "cancelled", "active"))
    for true in ("true", "1"):
        page = kit.call(f"GET /v4/subscribers?per_page=1&include_total_count={true}").json
        assert page["pagination"]["total_count"] == 2
    for false in ("false", "0"):
        page = kit.call(f"GET /v4/subscribers?include_total_count={false}").json
        assert "total_count" not in page["pagination"]


def test_page_sizes(kit: Kit) -> None:
    assert kit.call("GET /v4/tags?per_page=1000").json["pagination"]["per_page"] == 1000
    for size in ("0", "1001", "many"):
        assert kit.call(f"GET /v4/tags?per_page={size}").status == 422


def test_cursors_that_no_list_gave(kit: Kit) -> None:
    for query in ("after=nonsense", "after=WyJhIl0=", "after=WzFd&before=WzFd"):
        assert kit.call(f"GET /v4/tags?{query}").status == 422


def test_a_page_fetches_no_more_rows_than_it_shows() -> None:
    fetched: list[int] = []

    def fetch(key: int) -> int:
        fetched.append(key)
        return key

    paginate(range(100_000), fetch, PageQuery(after="WzUwMDAwXQ==", per_page=10))
    one_later_and_one_earlier = 2
    assert len(fetched) == 10 + one_later_and_one_earlier
