"""The page in a real browser: from dropping a photo to opening a hit, by mouse and by keyboard."""

import base64
import re
import shutil
import socket
import threading
import time

import cv2
import numpy as np
import pytest
import uvicorn

from ferkit.web.app import make_app
from ferkit.web.guard import Door
from samples import png

playwright_api = pytest.importorskip("playwright.sync_api", reason="no Playwright here: make browser")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def address(viewer):
    """The page of `viewer`, served."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    app = make_app(viewer, Door({"127.0.0.1"}, port))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    viewer.warm_up()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture(scope="module")
def camera(portraits, tmp_path_factory):
    """What the browser's camera sees: one frame, over and over, of the portrait of the astronaut."""
    frame = cv2.resize(cv2.imread(str(portraits["astronaut"])), (480, 480))
    path = tmp_path_factory.mktemp("camera") / "portrait.y4m"
    planes = cv2.cvtColor(frame, cv2.COLOR_BGR2YUV_I420).tobytes()
    path.write_bytes(b"YUV4MPEG2 W480 H480 F10:1 Ip A1:1 C420jpeg\n" + 10 * (b"FRAME\n" + planes))
    return path


@pytest.fixture(scope="module")
def browser(camera):
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    fake = ["--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={camera}"]
    with playwright_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", *fake])
        except playwright_api.Error as error:
            pytest.skip(f"no browser here, make browser installs one: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def page(browser, address):
    """A window on the page in which nothing may go wrong unseen."""
    context, problems = browser.new_context(viewport={"width": 1280, "height": 800}), []
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(f"a dialog opened: {dialog.message}"))
    page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
    page.goto(address)
    page.wait_for_selector("#results .tile")
    yield page
    context.close()
    missing_picture = re.compile(r"Failed to load resource.* 40[04]")  # that of the last row, which is gone
    assert [each for each in problems if not missing_picture.search(each)] == []


def tiles(page):
    return [int(each) for each in page.eval_on_selector_all("#results .face", "all => all.map(e => e.dataset.row)")]


def choose(page, content, name="photo.png"):
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})


def settled(page):
    page.wait_for_function("() => !document.querySelector('#results').hasAttribute('aria-busy')")


def test_from_a_photo_to_a_hit_and_back(page, shown_crops):
    choose(page, png(shown_crops[4]))
    page.wait_for_selector(".chip.like")
    settled(page)
    assert tiles(page)[0] == 4
    assert "like=v" in page.url

    page.click('.face[data-row="4"]')
    page.wait_for_selector("#viewer[open] .stage img")
    assert "open=4" in page.url
    assert "<img src=x" in page.inner_text("#viewer h2")
    page.wait_for_function("() => document.querySelector('#viewer .stage img').naturalWidth === 128")
    page.keyboard.press("Escape")
    page.wait_for_selector("#viewer:not([open])", state="hidden")
    assert page.evaluate("document.activeElement.dataset.row") == "4"

    address = page.url
    other = page.context.new_page()
    other.goto(address)
    other.wait_for_selector("#results .tile")
    assert tiles(other) == tiles(page)
    other.close()


def test_a_photo_is_dropped(page, shown_crops):
    content = base64.b64encode(png(shown_crops[1])).decode()
    page.evaluate(
        """content => {
            const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "<b>name</b>.png", { type: "image/png" }));
            for (const type of ["dragenter", "drop"]) {
                const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
                document.body.dispatchEvent(new DragEvent(type, options));
            }
        }""",
        content,
    )
    page.wait_for_selector(".chip.like")
    settled(page)
    assert tiles(page)[0] == 1


def test_a_photo_is_pasted_from_the_clipboard(page, shown_crops):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(
        """async content => {
            const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
            const picture = new Blob([bytes], { type: "image/png" });
            await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
        }""",
        base64.b64encode(png(shown_crops[3])).decode(),
    )
    page.keyboard.press("Control+V")
    page.wait_for_selector(".chip.like")
    settled(page)
    assert tiles(page)[0] == 3


def test_the_camera_takes_a_still_and_is_let_go(page):
    page.context.grant_permissions(["camera"])
    page.click("#camera-open")
    page.wait_for_function("() => document.querySelector('#camera video').videoWidth === 480")
    page.evaluate("track = document.querySelector('#camera video').srcObject.getTracks()[0]")
    page.click("#camera-take")
    page.wait_for_selector(".chip.like img")
    assert page.locator("#photo .frame").count() == 1
    assert page.evaluate("track.readyState") == "ended"


def test_a_camera_that_is_not_allowed_is_a_sentence(page):
    page.click("#camera-open")
    page.wait_for_selector("#toast:not([hidden])")
    assert "allow it" in page.inner_text("#toast")


def test_of_a_group_one_face_is_clicked(page, portraits):
    choose(page, portraits["both"].read_bytes())
    page.wait_for_selector("#photo .frame")
    assert page.locator("#photo .frame").count() == 2
    assert "like=" not in page.url
    page.locator("#photo .frame").nth(1).click()
    page.wait_for_selector(".chip.like img")
    assert page.locator("#photo .frame").nth(1).get_attribute("aria-pressed") == "true"


def test_more_and_less_like_a_face(page):
    page.hover('.face[data-row="2"]')
    page.locator("#results .tile").nth(2).locator(".judge .like").click()
    page.wait_for_selector(".chip.like")
    settled(page)
    assert 2 not in tiles(page)
    page.locator(f'.face[data-row="{tiles(page)[0]}"]').focus()
    page.keyboard.press("-")
    page.wait_for_selector(".chip.unlike")
    assert "unlike=" in page.url
    page.click(".chip.unlike button")
    page.wait_for_selector(".chip.unlike", state="detached")
    page.go_back()
    page.wait_for_selector(".chip.unlike")


def test_filters_say_how_many_and_leave_those(page):
    page.wait_for_selector("#filters .check")
    label = page.locator("#filters label.check", has_text="happiness").first
    assert label.locator("small").inner_text() == "2"
    label.click()
    page.wait_for_function("() => document.querySelectorAll('#results .tile').length === 2")
    assert tiles(page) == [0, 3]
    assert "label=happiness" in page.url
    page.fill("#find", "no such name")
    page.wait_for_selector("#warning:not([hidden])")
    assert "No face passes" in page.inner_text("#warning")
    page.click("text=Clear all filters")
    page.wait_for_function("() => document.querySelectorAll('#results .tile').length === 6")


def test_people_are_left_out_or_kept(page):
    page.goto(page.url + "?like=0")
    page.wait_for_selector("#filters .people")
    settled(page)
    assert set(tiles(page)) == {1, 3, 5}
    page.check("#filter-person-only")
    page.wait_for_function("() => document.querySelectorAll('#results .tile').length === 2")
    assert set(tiles(page)) == {2, 4}


def test_all_of_it_by_keyboard(page):
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.press("Escape")
    page.focus('.face[data-row="0"]')
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.row") == "1"
    page.keyboard.press("Enter")
    page.wait_for_selector("#viewer[open] h2")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.search.includes('open=2')")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !location.search.includes('open')")
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    page.wait_for_selector("#map-view canvas")


def test_the_map_opens_faces_and_holds_a_lasso(page):
    page.goto(page.url + "?view=map&lasso=-1,-1;2,-1;2,2;-1,2")
    page.wait_for_selector(".map-chosen .face")
    assert page.locator(".map-chosen .face").count() == 6
    page.click("text=More like these")
    page.wait_for_selector(".chip.like")
    assert page.locator(".chip.like").count() == 6
    page.go_back()
    page.click("text=Let go")
    page.wait_for_selector(".map-chosen", state="hidden")
    box = page.locator("canvas").bounding_box()
    page.click("#lasso")
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    for x, y in ((0.98, 0.02), (0.98, 0.98), (0.02, 0.98)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
    page.mouse.up()
    page.wait_for_selector(".map-chosen .face")
    assert "lasso=" in page.url


def test_a_map_of_a_hundred_thousand_faces_is_moved_and_cut_out_of(page):
    many = 100_000
    places = np.random.default_rng(0).random((many, 2), np.float32)
    colours = [{"name": "label", "title": "label", "values": ["left", "right"]}]
    status = {"ready": True, "faces": many, "colours": colours}
    content = places.astype("<f4").tobytes() + (places[:, 0] > 0.5).astype(np.uint8).tobytes()
    page.route("**/api/map", lambda route: route.fulfill(json=status))
    page.route("**/api/map/points", lambda route: route.fulfill(body=content))
    page.route("**/thumbnail/*", lambda route: route.fulfill(body=png(np.zeros((8, 8, 3), np.uint8))))
    page.goto(page.url + "?view=map&colour=label&lasso=0,0;0.5,0;0.5,1;0,1")
    page.wait_for_selector(".map-chosen .face")
    left = f"{(places[:, 0] < 0.5).sum():,}"
    assert f"{left} faces" in page.inner_text(".map-chosen h2")
    assert page.locator(".map-chosen .face").count() == 300
    assert left in page.inner_text(".legend")
    page.focus("canvas")
    for key in ("+", "+", "ArrowRight", "l"):
        page.keyboard.press(key)
    assert page.get_attribute("#lasso", "aria-pressed") == "true"
    page.keyboard.press("Escape")
    page.wait_for_selector(".map-chosen", state="hidden")


@pytest.mark.parametrize("width", [380, 820, 2560])
def test_nothing_hangs_over_the_edge(page, width):
    page.set_viewport_size({"width": width, "height": 900})
    for query in ("", "?like=1&unlike=2", "?open=1", "?view=map"):
        page.goto(page.url.partition("?")[0] + query)
        page.wait_for_selector("#results .tile, canvas, #viewer[open]", state="attached")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, query


def test_every_button_has_a_name_and_every_picture_says_what_it_is(page):
    page.goto(page.url + "?like=1&open=2")
    page.wait_for_selector("#viewer[open] h2")
    nameless = """() => [...document.querySelectorAll("button, a, input, select")]
        .filter(e => !(e.ariaLabel || e.innerText.trim() || e.labels?.length || e.title)).map(e => e.outerHTML)"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("[...document.images].filter(e => !e.hasAttribute('alt')).length") == 0
