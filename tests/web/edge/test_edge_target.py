import pytest

from service.web.edge.target import is_edge_path, read_target


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/ee/v1/interact", "interact"),
        ("/ee-pre-prd/v1/collect", "collect"),
        ("/ee/or2/v1/interact", "interact"),
        ('/ee/{"a": 1}/ü/v1/interact', "interact"),
        ("/my/own/base/t35/v1/interact", "interact"),
        ("/ee/line\nfeed/v1/interact", "interact"),
        ("/ee/v1/privacy/set-consent", "privacy/set-consent"),
        ("/ee/or2/v1/identity/acquire", "identity/acquire"),
        ("/ee/or2/va/v1/interact", "interact"),
        ("/ee/va/v1/privacy/set-consent", "privacy/set-consent"),
        ("/ee/v2/interact", "interact"),
        ("/ee/or2/v2/collect", "collect"),
        ("/ee/or2/va/v1/sessionStart", "media"),
        ("/ee/my/own/path", None),
        ("/ee-pre-prd/or2/own", None),
        ("/ee/v1/interactx", None),
    ],
)
def test_any_base_path_and_hint_is_an_edge_path(path: str, action: str | None) -> None:
    target = read_target({"PATH_INFO": path})

    assert is_edge_path(path)
    assert target.action == action


@pytest.mark.parametrize("name", ["nonsense", "sessionStarted", "x" * 300])
def test_what_is_no_event_of_the_media_api_is_not_served(name: str) -> None:
    target = read_target({"PATH_INFO": f"/ee/va/v1/{name}"})

    assert is_edge_path(f"/ee/va/v1/{name}")
    assert (target.action, target.media_event) == (None, None)


@pytest.mark.parametrize("name", ["sessionStart", "sessionstart", "ping", "adBreakStart"])
def test_a_media_path_names_its_event(name: str) -> None:
    assert read_target({"PATH_INFO": f"/ee/va/v1/{name}"}).media_event == name


@pytest.mark.parametrize(
    ("path", "is_server"),
    [("/ee/v2/interact", True), ("/ee/v2/v1/interact", False), ("/ee/v1/v2/collect", True)],
)
def test_version_two_is_for_servers(path: str, *, is_server: bool) -> None:
    assert read_target({"PATH_INFO": path}).is_server is is_server


@pytest.mark.parametrize(
    "path",
    ["/", "/v1/interact/more", "/ims/token/v3", "/ees/x", "/collection/abc", "/x/ee/y", "/ee"],
)
def test_other_paths_are_left_to_others(path: str) -> None:
    assert not is_edge_path(path)


@pytest.mark.parametrize("name", ["configId", "datastreamId", "dataStreamId"])
def test_the_datastream_has_three_names(name: str) -> None:
    query = f"requestId=r-1&{name}=abc%3Adev"

    assert read_target({"PATH_INFO": "/", "QUERY_STRING": query}).config_id == "abc"


@pytest.mark.parametrize(
    ("query", "config_id", "request_id"),
    [
        ("configId=abc&requestId=r-1", "abc", "r-1"),
        ("requestId=r-1&configId=abc%3Astage", "abc", "r-1"),
        ("configId=abc:dev&requestId=r-1", "abc", "r-1"),
        ("myconfigId=abc&requestId=r-1", "", "r-1"),
    ],
)
def test_the_query_is_read(query: str, config_id: str, request_id: str) -> None:
    target = read_target({"PATH_INFO": "/ee/v1/interact", "QUERY_STRING": query})

    assert (target.config_id, target.request_id) == (config_id, request_id)


@pytest.mark.parametrize("request_id", ["", "a\r\nb", "x" * 129, "a%0d%0aSet-Cookie: b"])
def test_a_request_id_that_could_do_harm_is_replaced(request_id: str) -> None:
    query = f"requestId={request_id}"

    target = read_target({"PATH_INFO": "/ee/v1/interact", "QUERY_STRING": query})

    assert target.request_id not in {"", request_id}
