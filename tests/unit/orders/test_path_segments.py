"""What a client puts into a segment of a path comes out of it, slashes and percent signs too."""

from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from orders.path_segments import routed_path, segment_text

segments = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("/%25F"), min_size=1)


@given(st.lists(segments, min_size=1, max_size=3))
@example(["EUR/USD", "x%2Fy", "%252F", "100%"])
def test_every_text_comes_through_a_path_unchanged(texts: list[str]) -> None:
    path = routed_path("/".join(quote(text, safe="") for text in texts).encode())
    assert [segment_text(segment) for segment in path.split("/")] == texts


@given(st.binary())
@example(b"/orders/%41\xc3\xa9")
def test_a_path_of_any_bytes_is_some_path(raw_path: bytes) -> None:
    path = routed_path(raw_path)
    assert path.count("/") == raw_path.count(b"/")
    path.encode()


def test_bytes_that_a_client_did_not_encode_are_read_as_utf_8() -> None:
    assert routed_path("/orders/%41é".encode()) == "/orders/Aé"
    assert routed_path(b"/orders/%41\xe9") == "/orders/A\N{REPLACEMENT CHARACTER}"
