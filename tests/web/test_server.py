import socket

import pytest
import uvicorn
from starlette.testclient import TestClient

from ferkit.errors import InputError, SetError
from ferkit.web.server import serve


@pytest.fixture
def served(viewer, listener, monkeypatch):
    """Serve the set of `viewer` until the server would begin to wait for browsers; what it said, and its app."""
    apps = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, sockets: apps.append(server.config.app))

    def run(**settings):
        said = listener()
        result = serve(viewer.path, device="cpu", progress=said, **settings)
        return result, said.said, apps[-1]

    return run


def test_by_default_only_this_machine_may_ask(served):
    result, said, app = served(port=0)
    assert result.faces == 6
    assert result.link.startswith("http://127.0.0.1:")
    assert "token" not in result.link
    assert result.link in said[0]
    host = result.link.split("/")[2]
    assert TestClient(app, base_url=f"http://{host}").get("/api/set").status_code == 200
    assert TestClient(app, base_url="http://example.org:80").get("/api/set").status_code == 421


def test_others_need_the_link_with_its_token(served):
    first, second = (served(host="0.0.0.0", port=0) for _ in range(2))
    tokens = [each[0].link.partition("?token=")[2] for each in (first, second)]
    assert all(len(token) >= 32 for token in tokens)
    assert len(set(tokens)) == 2
    port = first[0].link.split("/")[2].rpartition(":")[2]
    stranger = TestClient(first[2], base_url=f"http://10.0.0.7:{port}")
    assert stranger.get("/api/set").status_code == 401
    assert stranger.get(f"/?token={tokens[1]}").status_code == 401
    assert stranger.get(f"/?token={tokens[0]}").status_code == 200
    assert stranger.get("/api/set").status_code == 200


def test_a_port_that_is_taken(served):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="give another port"):
        served(port=taken.getsockname()[1])


def test_without_its_encoder_a_set_can_still_be_looked_at(served, viewer, monkeypatch):
    def gone(_):
        raise SetError("the encoder is not there any more")

    monkeypatch.setattr("ferkit.workflows.serve.Viewer.warm_up", gone)
    _, said, _ = served(port=0)
    assert "photos cannot be asked with: the encoder is not there any more" in said
