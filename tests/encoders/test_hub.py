import hashlib
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download

from ferkit.encoders.hub import HubRepo, fetch, intact_sha256, parse_repo
from ferkit.errors import HubError, InputError, WeightsError

DATA = bytes(range(256)) * 40
SHA256 = hashlib.sha256(DATA).hexdigest()
REPO = HubRepo("ann/faces")
FILE = "model.safetensors"
GET_STORED = f"GET {SHA256}/{FILE}"  # after the redirect to the store


@pytest.fixture
def commit(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)  # what is lost where a connection breaks
    return hub.add("ann/faces", {FILE: DATA, "config.json": b"{}"})


def blobs():
    folder = Path(constants.HF_HUB_CACHE) / "models--ann--faces" / "blobs"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# names


@pytest.mark.parametrize(
    ("text", "repo"),
    [
        ("hf-hub:ann/faces", HubRepo("ann/faces", "main")),
        ("ann/faces", HubRepo("ann/faces", "main")),
        ("hf-hub:timm/resnet18.a1_in1k@v1.0", HubRepo("timm/resnet18.a1_in1k", "v1.0")),
        ("hf-hub:ann/faces@refs/pr/3", HubRepo("ann/faces", "refs/pr/3")),
    ],
)
def test_names_are_read_and_written(text, repo):
    assert parse_repo(text) == repo
    assert parse_repo(str(repo)) == repo


@pytest.mark.parametrize("text", ["faces", "hf-hub:", "hf-hub:a/b/c", "a/b@", "a b/c", "hf-hub:../b", "a/b@1@2"])
def test_what_is_no_name_is_refused(text):
    with pytest.raises(InputError, match="USER/NAME"):
        parse_repo(text)


# fetching


def test_a_file_comes_whole_into_the_client_s_own_cache(hub, commit):
    file = fetch(REPO, FILE)
    assert (file.path.read_bytes(), file.commit, file.fetched) == (DATA, commit, True)
    assert blobs() == {SHA256: DATA}
    assert hf_hub_download("ann/faces", FILE, local_files_only=True) == str(file.path)


def test_a_second_fetch_moves_no_byte_and_a_commit_in_the_cache_needs_no_hub(hub, commit):
    fetch(REPO, FILE)
    hub.asked.clear()
    assert fetch(REPO, FILE).fetched is False
    assert hub.requests("GET", FILE) == []
    hub.asked.clear()
    assert fetch(HubRepo("ann/faces", commit), FILE).path.read_bytes() == DATA
    assert hub.asked == []


def test_a_repository_that_moved_is_followed_and_a_busy_hub_asked_again(hub, commit):
    hub.moved["old/name"] = "ann/faces"
    hub.faults[f"HEAD {FILE}"] = [("status", 503), ("status", 500), ("status", 429)]
    assert fetch(HubRepo("old/name"), FILE).path.read_bytes() == DATA


# what breaks off


def test_a_connection_that_breaks_is_taken_up_where_it_was(hub, commit, listener):
    hub.faults[GET_STORED] = [("cut", 1000), ("cut", 500)]
    heard = listener()
    assert fetch(REPO, FILE, progress=heard).path.read_bytes() == DATA
    ranges = [headers.get("range") for headers in hub.requests("GET", FILE) if headers["host"] in hub.cdn]
    assert ranges == [None, "bytes=1000-", "bytes=1500-"]
    assert heard.steps == pytest.approx(len(DATA) / 1e6)


def test_a_fetch_that_failed_leaves_nothing_and_may_be_tried_again(hub, commit):
    hub.faults[f"GET {FILE}"] = [("status", 500)]  # before the first byte
    with pytest.raises(HubError, match=r"status 500.*try again"):
        fetch(REPO, FILE)
    hub.faults[GET_STORED] = [("cut", 3000), ("status", 503)]
    with pytest.raises(HubError, match="503"):
        fetch(REPO, FILE)
    assert blobs() == {}
    assert fetch(REPO, FILE).path.read_bytes() == DATA


@pytest.mark.parametrize(
    ("file", "fault", "data"), [(FILE, GET_STORED, DATA), ("config.json", "GET config.json", b"{}")]
)
def test_what_is_not_as_announced_by_sha256_or_git_s_hash_does_not_stay_in_the_cache(hub, commit, file, fault, data):
    hub.faults[fault] = [("flip",)]
    with pytest.raises(WeightsError, match=r"another hash.*pull it again"):
        fetch(REPO, file)
    assert blobs() == {}
    assert fetch(REPO, file).path.read_bytes() == data


def test_a_damaged_file_leaves_the_cache_and_is_fetched_anew(hub, commit):
    file = fetch(REPO, FILE)
    assert intact_sha256(file) == SHA256
    file.path.resolve().write_bytes(b"?" + DATA[1:])
    with pytest.raises(WeightsError, match=r"damaged.*pull it again"):
        intact_sha256(file)
    assert fetch(REPO, FILE).fetched


def test_another_hash_than_the_entry_s_is_not_even_fetched(hub, commit):
    with pytest.raises(WeightsError, match=f"{SHA256[:12]}.*{'ab' * 6}"):
        fetch(REPO, FILE, sha256="ab" * 32)
    assert hub.requests("GET", FILE) == []
    assert fetch(REPO, FILE, sha256=SHA256).fetched


# who may read


def test_a_gated_repository_says_where_its_terms_are(hub, monkeypatch):
    hub.add("ann/gated", {FILE: DATA}, gated=True)
    monkeypatch.setenv("HF_TOKEN", "hf_read")
    with pytest.raises(HubError, match=f"gated.*{hub.url}/ann/gated"):
        fetch(HubRepo("ann/gated"), FILE)


@pytest.mark.parametrize(
    ("repo", "file", "said"),
    [
        (HubRepo("ann/nothing"), FILE, "no repository 'ann/nothing'"),
        (HubRepo("ann/faces", "v9"), FILE, "no revision 'v9'"),
        (REPO, "other.safetensors", "has no 'other.safetensors' at main"),
    ],
)
def test_what_is_not_there_is_named(hub, commit, monkeypatch, repo, file, said):
    monkeypatch.setenv("HF_TOKEN", "hf_read")
    with pytest.raises(HubError, match=said):
        fetch(repo, file)


# a hub that is not well


def test_a_password_in_the_endpoint_is_never_shown(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", hub.url.replace("//", "//ann:pa55@"))
    template = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace("//", "//ann:pa55@", 1)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    hub.add("ann/faces", {})
    hub.faults[f"HEAD {FILE}"] = [("status", 418)]  # in words of the client's, with the address in them
    with pytest.raises(HubError) as refused:
        fetch(REPO, FILE)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://ann:pa55@127.0.0.1:9/{repo_id}/{filename}")
    with pytest.raises(HubError) as gone:
        fetch(REPO, FILE)
    assert "pa55" not in f"{refused.value} {gone.value}"
    assert hub.url in str(refused.value)


def test_a_hub_out_of_reach_leaves_the_cache(hub, commit, monkeypatch, listener):
    fetch(REPO, FILE)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    heard = listener()  # nobody listens at that port
    assert fetch(REPO, FILE, progress=heard).path.read_bytes() == DATA
    assert heard.said == [f"the hub cannot be reached: taking {FILE} of ann/faces from the cache ({commit[:12]})"]
    with pytest.raises(HubError, match="cannot reach"):
        fetch(REPO, "config.json")


def test_offline_the_cache_serves_and_nothing_is_asked(hub, commit, monkeypatch):
    fetch(REPO, FILE)
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(REPO, FILE).path.read_bytes() == DATA
    with pytest.raises(HubError, match=r"'config.json' of 'ann/faces' at main is not in .* HF_HUB_OFFLINE"):
        fetch(REPO, "config.json")
    assert hub.asked == []


def test_a_full_disk_is_said_and_leaves_nothing(hub, commit, file_size_limit):
    with file_size_limit(4096), pytest.raises(HubError, match="File too large"):
        fetch(REPO, FILE)
    assert blobs() == {}
    assert fetch(REPO, FILE).path.read_bytes() == DATA


def test_a_private_repository_wants_a_token_that_goes_to_the_hub_alone(hub, monkeypatch):
    hub.add("ann/secret", {FILE: DATA}, private=True)
    for token in (None, "hf_old"):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(HubError, match=r"token|HF_TOKEN"):
            fetch(HubRepo("ann/secret"), FILE)
    monkeypatch.delenv("HF_TOKEN")
    on_disk = Path(constants.HF_TOKEN_PATH)
    on_disk.parent.mkdir(parents=True)
    on_disk.write_text("hf_read\n")
    assert fetch(HubRepo("ann/secret"), FILE).path.read_bytes() == DATA
    (at_store,) = [headers for headers in hub.requests("GET", FILE) if headers["host"] in hub.cdn]
    assert "authorization" not in at_store
