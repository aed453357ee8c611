"""A figure without axes: images, rectangles and text at pixel positions.

Axes cost some 10 ms each, and a model has a hundred heads: pictures of many panels are composed as one image in NumPy
and drawn at once. Coordinates are pixels from the top left; they scale with the figure's dpi.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist, allow_rasterization
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike, NDArray

from lab.figures.style import FONT, SMALL_SIZE, TEXT_SIZE, TITLE_SIZE, Theme

Align = Literal["left", "center", "right"]
DPI = 100
WIDTH = 900  # of a picture in a dashboard, in pixels
MARGIN = 24
TITLE_HEIGHT = 62  # of title and remark, at the top
SCALE_HEIGHT = 46  # of a colour scale, at the bottom

# From 0 to 1 in equal steps of lightness: they can be read in grey and with any kind of colour vision.
_LIGHT_RAMP = ("#FFFFFF", "#CCE1F1", "#7DB4DA", "#1E7DBA", "#08497F", "#04203D")
_DARK_RAMP = ("#07090B", "#0B2C47", "#0F5B8F", "#2F93CC", "#8CCBEE", "#F4FBFF")


def ramp(colors: Theme, n: int = 256) -> NDArray[np.uint8]:
    """The colours of a sequential scale, `[n, 3]`: 0 is the background's tone, 1 the ink's."""
    dark = _lightness(colors.background) < 0.5
    stops = np.array([_rgb(c) for c in (_DARK_RAMP if dark else _LIGHT_RAMP)], dtype=float)
    at = np.linspace(0, len(stops) - 1, n)
    return np.stack([np.interp(at, range(len(stops)), stops[:, i]) for i in range(3)], axis=1).astype(np.uint8)


def masked_color(colors: Theme) -> tuple[int, int, int]:
    """The grey of masked cells: not a tone of the ramp, so that it cannot be mistaken for 0."""
    return (58, 62, 68) if _lightness(colors.background) < 0.5 else (214, 216, 219)


def to_colors(share: NDArray[Any], colors: Theme) -> NDArray[np.uint8]:
    """Numbers from 0 to 1 as colours of the ramp, `[…, 3]`; NaN in the grey of masked cells."""
    known = np.nan_to_num(share, nan=0.0)
    found = ramp(colors)[(np.clip(known, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)]
    found[np.isnan(share)] = masked_color(colors)
    return found


class Canvas:
    """A figure of `width` × `height` pixels with a title and a remark; `figure` is the result."""

    def __init__(self, colors: Theme, width: float, height: float, title: str = "", remark: str = "") -> None:
        self.colors, self.width, self.height = colors, width, height
        self.figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=colors.background)
        FigureCanvasAgg(self.figure)
        self.transform = Affine2D().scale(1 / width, -1 / height).translate(0, 1) + self.figure.transFigure
        if title:
            self.text(MARGIN, 20, title, size=TITLE_SIZE, color=colors.ink, weight="bold")
        if remark:
            self.text(MARGIN, 41, remark, size=TEXT_SIZE)

    def _add(self, artist: Artist) -> None:
        artist.set_transform(self.transform)
        self.figure.add_artist(artist)

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = SMALL_SIZE,
        color: str | None = None,
        align: Align = "left",
        mono: bool = False,
        weight: str = "normal",
        rotation: float = 0,
    ) -> None:
        """Text, vertically centred at `y`; `$` is not read as mathematics."""
        words = Text(
            x, y, text, color=color or self.colors.muted, horizontalalignment=align, verticalalignment="center",
            fontproperties=_font(f"{FONT} Mono" if mono else FONT, weight, size), rotation=rotation, parse_math=False,
            rotation_mode="anchor",
        )  # fmt: skip
        self._add(words)

    def image(self, pixels: ArrayLike, x: float, y: float, scale: float = 1.0) -> None:
        """An image `[height, width, 3]` (uint8) with its top left corner at (x, y), each of its pixels `scale` wide."""
        array = np.asarray(pixels)
        height, width = array.shape[0] * scale, array.shape[1] * scale
        self._add(_Pixels(array, (x, y, x + width, y + height)))

    def boxes(
        self, boxes: ArrayLike, colors: Sequence[Any] | ArrayLike | str, edge: str = "none", width: float = 0
    ) -> None:
        """Filled rectangles `[n, 4]`: x, y, width, height."""
        x, y, w, h = np.asarray(boxes, dtype=float).reshape(-1, 4).T
        corners = np.stack([np.stack([x, x + w, x + w, x]), np.stack([y, y, y + h, y + h])]).transpose(2, 1, 0)
        self.shapes(list(corners), colors, edge, width)

    def shapes(
        self,
        corners: Sequence[NDArray[Any]],
        colors: Sequence[Any] | ArrayLike | str,
        edge: str = "none",
        width: float = 0,
    ) -> None:
        """Filled polygons, each `[corner, 2]`."""
        collection = PolyCollection(
            corners, facecolors=colors, edgecolors=edge, linewidths=width, antialiased=True
        )  # fmt: skip
        self._add(collection)

    def scale(
        self, y: float, ticks: Sequence[tuple[float, str]], words: str, masked: str = "", strongest: float = 1.0
    ) -> None:
        """The colour scale: `ticks` (positions from 0 to 1, labels), `words` beside it, and what grey means (`masked`).

        Its last colour is the tone `strongest` of the ramp.
        """
        left, long = MARGIN, 220
        strip = np.repeat(to_colors(np.linspace(0, strongest, long)[None], self.colors), 10, axis=0)
        self.image(strip, left, y)
        self.boxes([[left, y, long, 10]], "none", self.colors.muted, 0.5)
        for at, label in ticks:
            self.text(left + at * long, y + 20, label, align="left" if at == 0 else "right" if at == 1 else "center")
        self.text(left + long + 14, y + 5, words)
        if masked:
            x = self.width - MARGIN
            self.text(x, y + 5, masked, align="right")
            swatch = x - 14 - 6.2 * len(masked)
            self.boxes([[swatch, y, 10, 10]], np.array([masked_color(self.colors)]) / 255)


def rendered(figure: Figure) -> NDArray[np.uint8]:
    """A figure as an image, uint8 `[height, width, 3]`."""
    canvas = figure.canvas
    if not isinstance(canvas, FigureCanvasAgg):
        canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


class _Pixels(Artist):
    """An image between two corners, in whole pixels without smoothing: a tenth of the time of matplotlib's own."""

    def __init__(self, pixels: NDArray[np.uint8], corners: tuple[float, float, float, float]) -> None:
        super().__init__()
        self._pixels, self._corners = pixels, corners

    @allow_rasterization
    def draw(self, renderer: RendererBase) -> None:
        """Nearest neighbour, by indexing."""
        left, top, right, bottom = self._corners
        (x0, y0), (x1, y1) = np.rint(self.get_transform().transform([(left, bottom), (right, top)])).astype(int)
        height, width = self._pixels.shape[:2]
        rows = np.arange(y1 - y0) * height // max(1, y1 - y0)
        columns = np.arange(x1 - x0) * width // max(1, x1 - x0)
        if not len(rows) or not len(columns):
            return
        image = np.full((len(rows), len(columns), 4), 255, dtype=np.uint8)
        image[::-1, :, :3] = self._pixels if image.shape[:2] == (height, width) else self._pixels[rows][:, columns]
        graphics = renderer.new_gc()
        renderer.draw_image(graphics, x0, y0, image)
        graphics.restore()


@cache
def _font(family: str, weight: str, size: float) -> FontProperties:
    """A font by its file: looking it up by name costs as much as drawing a word."""
    return FontProperties(fname=findfont(FontProperties(family=family, weight=weight)), size=size)


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _lightness(color: str) -> float:
    return sum(_rgb(color)) / (3 * 255)
