import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from ferkit.web.guard import Door, Guard

HERE = {"127.0.0.1", "localhost"}


def client(door, host="127.0.0.1:8321"):
    return TestClient(Guard(PlainTextResponse("in"), door), base_url=f"http://{host}", follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost:8321", "LOCALHOST:8321"])
def test_the_page_s_own_addresses_are_let_in(host):
    assert client(Door(HERE, 8321)).get("/", headers={"host": host}).text == "in"


@pytest.mark.parametrize(
    "host",
    ["evil.example:8321", "127.0.0.1", "127.0.0.1:80", "127.0.0.1.evil.example:8321", "", ":8321", "10.0.0.1:8321"],
)
def test_a_name_that_was_rebound_is_not(host):
    answer = client(Door(HERE, 8321)).get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "link that ferkit printed" in answer.text


def test_beyond_this_machine_numbers_are_let_in_and_other_names_are_not():
    door = Door({*HERE, "studio"}, 8321, "secret", any_address=True)
    for host, known in {"10.0.0.1:8321": 1, "[fe80::1]:8321": 1, "studio:8321": 1, "evil:8321": 0}.items():
        status = client(door).get("/", headers={"host": host}).status_code
        assert status == (401 if known else 421), host


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {"origin": "http://127.0.0.1:8321"}, 200),
        ("POST", {}, 403),
        ("POST", {"origin": "null"}, 403),
        ("POST", {"origin": "http://evil.example"}, 403),
        ("POST", {"origin": "http://localhost:8321"}, 403),
        ("DELETE", {}, 403),
        ("GET", {}, 200),
        ("GET", {"origin": "http://evil.example"}, 403),
        ("GET", {"sec-fetch-site": "same-origin"}, 200),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ("GET", {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, 403),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, 200),
    ],
)
def test_only_the_page_itself_may_ask(method, headers, status):
    assert client(Door(HERE, 8321)).request(method, "/", headers=headers).status_code == status


def test_the_token_goes_from_the_link_into_a_cookie():
    door = Door({"studio"}, 8321, "secret", any_address=True)
    browser = client(door, "studio:8321")
    assert browser.get("/").status_code == 401
    assert browser.get("/?token=wrong").status_code == 401
    assert browser.post("/?token=secret", headers={"origin": "http://studio:8321"}).status_code == 401

    answer = browser.get("/?token=secret&like=3&like=4")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?like=3&like=4")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert browser.get("/").text == "in"
    assert client(door, "studio:8321").get("/", headers={"cookie": "ferkit-token=secre"}).status_code == 401


def test_every_answer_forbids_inline_scripts_and_guessing():
    for host in ("127.0.0.1:8321", "evil.example:8321"):
        headers = client(Door(HERE, 8321)).get("/", headers={"host": host}).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self';" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
