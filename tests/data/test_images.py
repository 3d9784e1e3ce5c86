import io
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from ferkit.data.images import MAX_PIXELS, capture_time, image_size, read_image, read_image_scaled
from ferkit.errors import UnreadableImageError

RAMP = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3) * 2


def encoded(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(rows, *, width, height, depth, colour):
    """A PNG written by hand, for what Pillow does not write; ``rows`` are raw scan lines."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP"])
def test_lossless_formats_come_back_as_they_were(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    image = read_image(encoded(Image.fromarray(RAMP), kind, **options))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, RAMP)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (1, 1), 77), (77, 77, 77)),
        (Image.new("1", (1, 1), 1), (255, 255, 255)),
        (Image.new("LA", (1, 1), (0, 0)), (255, 255, 255)),
        (Image.new("LA", (1, 1), (0, 128)), (127, 127, 127)),  # 255 * (255 - 128) / 255
        (Image.new("LA", (1, 1), (9, 255)), (9, 9, 9)),
        (Image.new("RGBA", (1, 1), (10, 20, 30, 0)), (255, 255, 255)),
        (Image.new("RGBA", (1, 1), (255, 0, 0, 51)), (255, 204, 204)),  # a fifth of red over white
        (Image.new("RGBA", (1, 1), (10, 20, 30, 255)), (10, 20, 30)),
    ],
)
def test_gray_and_transparency(image, expected):
    assert tuple(read_image(encoded(image))[0, 0]) == expected


@pytest.mark.parametrize(
    ("first", "transparency", "expected"),
    [([200, 10, 20], 0, [255, 255, 255]), ([255, 0, 0], bytes([51, 255]), [255, 204, 204])],  # an entry; alpha for each
)
def test_palette_with_transparent_entries(first, transparency, expected):
    image = Image.new("P", (2, 1))
    image.putpalette([*first, 30, 40, 50])
    image.putdata([0, 1])
    assert read_image(encoded(image, transparency=transparency)).tolist() == [[expected, [30, 40, 50]]]


def test_a_colour_declared_transparent():
    image = Image.new("RGB", (2, 1), (1, 2, 3))
    image.putpixel((1, 0), (9, 8, 7))
    assert read_image(encoded(image, transparency=(1, 2, 3))).tolist() == [[[255, 255, 255], [9, 8, 7]]]


def test_cmyk_jpeg():
    pixels = read_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100))
    np.testing.assert_allclose(pixels[8, 8], (255, 0, 0), atol=2)  # magenta and yellow ink print red


SIXTEEN = np.array([[0, 257, 32896, 65535]], np.uint16)  # n * 257 is n of 8 bits


@pytest.mark.parametrize("values", [SIXTEEN, np.array([[0, 257, 514, 771]], np.uint16)])
def test_16_bit_png_is_scaled_whatever_its_range(values):
    pixels = read_image(png([values.astype(">u2").tobytes()], width=4, height=1, depth=16, colour=0))
    np.testing.assert_array_equal(pixels[0, :, 0], values[0] // 257)
    np.testing.assert_array_equal(pixels, pixels[..., :1].repeat(3, axis=2))


@pytest.mark.parametrize(("colour", "last"), [(2, []), (6, [65535])])
def test_16_bit_colour_png(colour, last):
    row = np.array([65535, 32896, 0, *last], ">u2").tobytes()
    assert read_image(png([row], width=1, height=1, depth=16, colour=colour)).tolist() == [[[255, 128, 0]]]


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bit_tiff(order):
    mode = "I;16" if order == "<u2" else "I;16B"
    image = Image.frombytes(mode, (4, 1), SIXTEEN.astype(order).tobytes())
    assert read_image(encoded(image, "TIFF"))[0, :, 1].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 32896, 65535]], np.int32), [0, 128, 255]),
        (np.array([[0, 2**30, 3 * 2**29]], np.int32), [0, 128, 191]),
        (np.array([[0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0, 100, 255]], np.float32), [0, 100, 255]),
        (np.array([[-4, np.nan, 1e9]], np.float32), [0, 0, 255]),
    ],
)
def test_deep_tiff_is_scaled_to_what_it_holds(values, expected):
    assert read_image(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == expected


@pytest.mark.parametrize(("levels", "expected"), [([0, 0.5, 1.0], [0, 128, 255]), ([0, np.nan, 255], [0, 0, 255])])
def test_colour_in_floating_point_is_read_from_tiff(tmp_path, levels, expected):
    bgr = np.zeros((2, 3, 3), np.float32)
    bgr[:, :, 2] = levels
    assert cv2.imwrite(str(tmp_path / "deep.tif"), bgr)
    assert read_image(tmp_path / "deep.tif")[1].tolist() == [[level, 0, 0] for level in expected]
    with pytest.raises(UnreadableImageError):
        read_image((tmp_path / "deep.tif").read_bytes()[:-40])


# What EXIF 2.3 says the viewer must do to the stored pixels, in numpy instead of Pillow.
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation(kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = read_image(encoded(Image.fromarray(RAMP), kind, exif=exif, **options))
    np.testing.assert_array_equal(pixels, TURNS[orientation](RAMP))


def test_exif_orientation_of_a_reduced_jpeg():
    stored = np.zeros((320, 640, 3), np.uint8)
    stored[:160, :320] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels, scale = read_image_scaled(encoded(Image.fromarray(stored), "JPEG", exif=exif), at_least=100)
    assert (pixels.shape, scale) == ((160, 80, 3), 4)
    assert pixels[20, 60].min() > 250
    assert pixels[20, 20].max() < 5


@pytest.mark.parametrize("remarks", ["ignore", "error"])
def test_a_damaged_exif_block_does_not_cost_the_picture(remarks):
    warnings.simplefilter(remarks)  # pytest puts the filters back
    data = encoded(Image.fromarray(RAMP), exif=b"Exif\0\0MM\0*" + b"\xff" * 20)
    np.testing.assert_array_equal(read_image(data), RAMP)


@pytest.mark.parametrize("kind", ["TIFF", "GIF", "WEBP"])
def test_the_first_frame_counts(kind):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert read_image(data)[4, 4].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("size", "at_least", "scale"),
    [
        *(
            ((1001, 640), *case)
            for case in [(None, 1), (2000, 1), (501, 1), (500, 2), (251, 2), (250, 4), (125, 8), (1, 8)]
        ),
        *((thin, 1, None) for thin in [(1000, 1), (7, 900), (1, 1), (9, 9)]),  # not reduced away
    ],
)
def test_reduction_keeps_what_is_asked_for(kind, size, at_least, scale):
    pixels, found = read_image_scaled(encoded(Image.new("RGB", size), kind), at_least=at_least)
    assert scale in (None, found)
    assert found <= min(size)
    assert pixels.shape == (-(-size[1] // found), -(-size[0] // found), 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("at_least", [400, 200, 100])
def test_the_scale_leads_back_to_the_original(kind, at_least):
    picture = np.zeros((600, 800, 3), np.uint8)
    picture[96:160, 480:640] = 255  # centre of the pixels: (559.5, 127.5)
    pixels, scale = read_image_scaled(encoded(Image.fromarray(picture), kind), at_least=at_least)
    rows, columns = np.nonzero(pixels[..., 0] > 127)
    centre = (np.array([columns.mean(), rows.mean()]) + 0.5) * scale - 0.5
    np.testing.assert_allclose(centre, (559.5, 127.5), atol=0.5)


def test_more_than_pillow_allows_is_read_and_a_decompression_bomb_refused_by_its_header(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert image_size(png([], width=16_000, height=16_000, depth=8, colour=0)) == (16_000, 16_000)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(read_image, [encoded(Image.fromarray(RAMP))] * 200))
    assert all(np.array_equal(pixels, RAMP) for pixels in results)
    side = int(MAX_PIXELS**0.5) + 1
    with pytest.raises(UnreadableImageError, match="more than 300 million"):
        read_image(png([], width=side, height=side, depth=8, colour=2), "bomb.png")
    assert Image.MAX_IMAGE_PIXELS == 1000  # of whoever else uses Pillow


JPEG = encoded(Image.effect_noise((90, 80), 50), "JPEG")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"this is no picture\n" * 9, "its content is no image"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (encoded(Image.effect_noise((90, 80), 50))[:700], "truncated|broken"),
        (JPEG[:10], "(?i)its content is no image|truncated"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "its content is no image"),  # Pillow would run a program
    ],
)
def test_damaged_files_say_what_is_wrong(tmp_path, content, why):
    path = tmp_path / "holiday.jpg"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(UnreadableImageError, match=why) as caught:
            read_image(source, None if source is path else "holiday.jpg")
        assert "holiday.jpg" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_jpeg_without_its_last_bytes_is_read(tmp_path):
    whole, path = encoded(Image.effect_noise((320, 800), 50), "JPEG"), tmp_path / "cut.jpg"
    path.write_bytes(whole[:-64])
    for source in (path, path.read_bytes()):
        np.testing.assert_array_equal(read_image(source)[:780], read_image(whole)[:780])
    small, step = read_image_scaled(path, scale=lambda size: 8)
    assert (small.shape, step) == ((100, 40, 3), 8)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_without_a_good_part_is_not(options):
    whole = encoded(Image.effect_noise((320, 800), 50), "JPEG", **options)
    with pytest.raises(UnreadableImageError, match="truncated"):
        read_image(whole[: int(len(whole) * 0.95)])


def test_the_time_at_which_a_photo_was_taken_comes_from_exif(tmp_path):
    known = {"a": ("2024:05:06 12:00:01", "25"), "b": ("2024:05:06 12:00:03", ""), "odd": ("0000:00:00 00:00:00", "")}
    for name, (date, fraction) in known.items():
        exif = Image.Exif()
        exif.get_ifd(0x8769).update({0x9003: date, 0x9291: fraction})
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.jpg", exif=exif)
    Image.new("RGB", (8, 8)).save(tmp_path / "none.jpg")
    times = {name: capture_time(tmp_path / f"{name}.jpg") for name in (*known, "none")}
    assert times["b"] - times["a"] == pytest.approx(1.75)
    assert (times["odd"], times["none"]) == (None, None)
