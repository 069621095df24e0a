"""Pictures, decoded and written anew: pixels stay, turned as they are meant to be seen.

Place, time, camera, thumbnails and whatever else was beside the pixels goes (runs in the child).
"""

import io
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.ImageCms
import PIL.ImageOps
from PIL import JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin

from storage.file_checks.faults import BadFile, Fault
from storage.file_checks.judge import Verdict
from storage.file_checks.kinds import (
    MAX_PIXELS,
    MAX_PREVIEW_BYTES,
    MAX_SIDE_PX,
    PREVIEW_PX,
    Kind,
)

# Loaded before the child is confined; a phone's JPEG with a second picture behind it is an MPO.
_PLUGINS = (JpegImagePlugin, MpoImagePlugin, PngImagePlugin, WebPImagePlugin)
_SAVED: dict[Kind, dict[str, Any]] = {
    Kind.JPEG: {"quality": 90},
    Kind.PNG: {"compress_level": 6},
    Kind.WEBP: {"quality": 90, "method": 2},
}


def check(file: Path, kind: Kind, kept: Path, preview: Path) -> Verdict:
    """Write the picture anew, and a small one. Raises BadFile."""
    PIL.Image.MAX_IMAGE_PIXELS = None  # ours is judged before a pixel is decoded, and is no warning
    with PIL.Image.open(file, formats=(kind.name,)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise BadFile(Fault.TOO_MANY_PIXELS)
        if kind is not Kind.JPEG and getattr(image, "n_frames", 1) > 1:
            raise BadFile(Fault.ANIMATED)
        if kind is Kind.JPEG:
            image.draft(None, (MAX_SIDE_PX, MAX_SIDE_PX))
        image.load()
        if image.mode != "P":  # a palette is scaled once it is colours
            image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
        clean = _clean(image, kind)
    clean.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    clean.save(kept, kind.name, **_SAVED[kind])
    small(clean, preview)
    return Verdict(kind=kind, rewritten=True, preview=True)


def small(image: PIL.Image.Image, preview: Path) -> None:
    """Write a small picture of a picture."""
    shown = image.convert("RGBA" if image.has_transparency_data else "RGB")
    shown.thumbnail((PREVIEW_PX, PREVIEW_PX))
    shown.save(preview, "WEBP", quality=75, method=2)
    if preview.stat().st_size > MAX_PREVIEW_BYTES:
        shown.save(preview, "WEBP", quality=30, method=2)


def _clean(image: PIL.Image.Image, kind: Kind) -> PIL.Image.Image:
    """The pixels alone: turned, in sRGB, in a mode that every browser shows."""
    turned = PIL.ImageOps.exif_transpose(image)
    profile = image.info.get("icc_profile")
    if turned.mode.startswith("I"):  # sixteen bits of grey
        turned = turned.convert("I").point(lambda value: value / 256).convert("L")
    transparent = turned.has_transparency_data and kind is not Kind.JPEG
    if profile and turned.mode in {"RGB", "RGBA", "CMYK", "L"}:
        turned = _in_srgb(turned, profile)
    clean = turned.convert("RGBA" if transparent else "L" if turned.mode == "L" else "RGB")
    # A new image has nothing beside its pixels; saving would carry some of `info` along.
    bare = PIL.Image.new(clean.mode, clean.size)
    bare.paste(clean)
    return bare


def _in_srgb(image: PIL.Image.Image, profile: bytes) -> PIL.Image.Image:
    """Colours as they were meant; a profile that cannot be read is left out."""
    try:
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        source = PIL.ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = PIL.ImageCms.createProfile("sRGB")
        made = PIL.ImageCms.profileToProfile(image, source, srgb, outputMode=mode)
    except (PIL.ImageCms.PyCMSError, OSError, ValueError):
        return image
    return made or image
