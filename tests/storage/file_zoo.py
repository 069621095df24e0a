"""Files as people hand them in, and twenty-five and more that nobody should keep; made by code."""

import base64
import hashlib
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import av
import PIL.Image

Pack = Callable[[bytes], bytes]
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
OFFICE = "application/vnd.openxmlformats-officedocument"
TYPES = "[Content_Types].xml"
WORD = "word/document.xml"
RELATIONS = "word/_rels/document.xml.rels"
HTML = b"<!DOCTYPE html><script>alert(1)</script>"


def picture(kind: str, size: tuple[int, int] = (64, 48), **more: object) -> bytes:
    """A picture with its left half red and its right half white."""
    image = PIL.Image.new("RGB", size, "white")
    image.paste("red", (0, 0, size[0] // 2, size[1]))
    out = io.BytesIO()
    image.save(out, kind, **more)
    return out.getvalue()


def photo() -> bytes:
    """As a phone makes it: lying on its side, with where and by what it was made."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # turn it clockwise to see it
    exif[0x010F] = "Canary Phone"
    exif.get_ifd(0x8825).update({1: "N", 2: (55.0, 47.0, 0.0), 3: "E", 4: (49.0, 6.0, 0.0)})
    return picture("JPEG", exif=exif, comment=b"canary comment")


def png_of(width: int, height: int, rows: bytes = b"") -> bytes:
    """A PNG whose head says this size, whatever is behind it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(rows)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def animated() -> bytes:
    """Two pictures in one file."""
    frames = [PIL.Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    out = io.BytesIO()
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def pdf(catalogue: bytes = b"", trailer: bytes = b"", *more: bytes, pages: int = 1) -> bytes:
    """A PDF of white pages; `catalogue` is added to its first object, `more` are other objects."""
    kids = b" ".join(b"3 0 R" for _ in range(pages))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R%s>>" % catalogue,
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, pages),
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 300]>>",
        *more,
    ]
    body, offsets = b"%PDF-1.7\n", []
    for number, one in enumerate(objects, start=1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n"
        % (len(objects) + 1, table, len(objects) + 1, trailer, len(body))
    )


SCRIPT = b"/OpenAction<</S/JavaScript/JS(app.alert(1))>>"


def packed_script(
    kind: bytes = b"/ObjStm",
    filters: bytes = b"/FlateDecode",
    pack: Pack = zlib.compress,
    script: bytes = SCRIPT,
) -> bytes:
    """A PDF whose script lies in a packed stream of objects, where no search of the bytes sees it.

    PDFium reads it: the catalogue itself, with its action, is in there.
    """
    inside = (
        b"<</Type/Catalog/Pages 2 0 R%s>> " % script,
        b"<</Type/Pages/Kids[3 0 R]/Count 1>> ",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]>> ",
    )
    head = b"".join(
        b"%d %d " % (number, len(b"".join(inside[: number - 1]))) for number in (1, 2, 3)
    )
    data = pack(head + b"".join(inside))
    says = b"/Type%s/N 3/First %d/Filter%s/Length %d" % (kind, len(head), filters, len(data))
    body = b"%PDF-1.5\n"
    first = len(body)
    body += b"4 0 obj\n<<%s>>\nstream\n%s\nendstream\nendobj\n" % (says, data)
    rows = [bytes(5), *(struct.pack(">BBHB", 2, 0, 4, at) for at in range(3))]
    rows += [struct.pack(">BBHB", 1, 0, where, 0) for where in (first, len(body))]
    table = b"".join(rows)
    says = b"/Type/XRef/Size 6/W[1 3 1]/Root 1 0 R/Length %d" % len(table)
    end = b"5 0 obj\n<<%s>>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n"
    return body + end % (says, table, len(body))


def script_behind_a_stream() -> bytes:
    """A PDF whose page comes before what acts."""
    page = b"<</Length 5>>\nstream\nBT ET\nendstream"
    return pdf(b"", b"", page, b"<<%s>>" % SCRIPT)


def opens_but_locked() -> bytes:
    """A PDF that anybody opens and nobody but a reader of PDF reads: its password is empty."""
    fill = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")
    owner = b"A" * 32
    digest = hashlib.md5(fill + owner + struct.pack("<i", -4) + b"A", usedforsecurity=False)
    user = _rc4(digest.digest()[:5], fill)
    lock = b"/Encrypt<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -4>>/ID[<41><41>]"
    return pdf(b"", lock % (owner.hex().encode(), user.hex().encode()))


def _rc4(key: bytes, data: bytes) -> bytes:
    state, at = list(range(256)), 0
    for one in range(256):
        at = (at + state[one] + key[one % len(key)]) % 256
        state[one], state[at] = state[at], state[one]
    out, one, at = bytearray(), 0, 0
    for byte in data:
        one = (one + 1) % 256
        at = (at + state[one]) % 256
        state[one], state[at] = state[at], state[one]
        out.append(byte ^ state[(state[one] + state[at]) % 256])
    return bytes(out)


def locked_pdf() -> bytes:
    """One that asks for a password."""
    secret = b"<" + b"41" * 32 + b">"
    lock = b"/Encrypt<</Filter/Standard/V 1/R 2/O %s/U %s/P -4>>" % (secret, secret)
    return pdf(b"", lock + b"/ID[<41><41>]")


def packed(parts: Mapping[str, bytes], *, stored: tuple[str, ...] = ()) -> bytes:
    """An archive of these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            way = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(name, data, way)
    return out.getvalue()


_MAIN = {"docx": "wordprocessingml.document", "xlsx": "spreadsheetml.sheet"}


def office(
    kind: str = "docx", more: Mapping[str, bytes] | None = None, *, macro: bool = False
) -> bytes:
    """A document of today's office programs, as small as it can be."""
    main = f"{OFFICE}.{_MAIN[kind]}.main+xml"
    main = "application/vnd.ms-word.document.macroEnabled.main+xml" if macro else main
    types = f'<Types><Override PartName="/{WORD}" ContentType="{main}"/></Types>'
    return packed({TYPES: types.encode(), WORD: b"<document/>", **(more or {})})


def odt(more: Mapping[str, bytes] | None = None) -> bytes:
    """A document of LibreOffice."""
    kind = b"application/vnd.oasis.opendocument.text"
    parts = {"mimetype": kind, "content.xml": b"<content/>", **(more or {})}
    return packed(parts, stored=("mimetype",))


def relation(kind: str) -> bytes:
    """A reference to another machine."""
    there = 'Target="http://example.org/x" TargetMode="External"'
    return f'<Relationships><Relationship Type="http://x/{kind}" {there}/></Relationships>'.encode()


def encrypted() -> bytes:
    """A document whose parts say that they are locked."""
    data = bytearray(office())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        found = data.find(mark)
        while found >= 0:
            data[found + at] |= 1
            found = data.find(mark, found + 4)
    return bytes(data)


def overlapping() -> bytes:
    """Two names in the table for the same bytes: how a bomb of a few bytes is packed."""
    data = office(more={"word/a.xml": b"<a/>", "word/b.xml": b"<b/>"})
    table = data.index(b"PK\x01\x02")
    first, second = (data.index(name, table) - 46 for name in (b"word/a.xml", b"word/b.xml"))
    return data[: second + 42] + data[first + 42 : first + 46] + data[second + 46 :]


def lying() -> bytes:
    """A part that says it is one byte long and unpacks to megabytes."""
    data = bytearray(office(more={"word/a.bin": bytes(5 << 20)}))
    at = data.rindex(b"word/a.bin") - 46
    data[at + 24 : at + 28] = struct.pack("<I", 1)
    return bytes(data)


def bomb() -> bytes:
    """A hundred and ten megabytes of nothing in about a hundred kilobytes."""
    return office(more={f"word/{n}.bin": bytes(11 << 20) for n in range(10)})


SCRIPTS = b"urn:oasis:names:tc:opendocument:xmlns:script:1.0"


def sound(codec: str = "aac", writes: str = "ipod", *, seconds: float = 0.5) -> bytes:
    """A recording of silence that says where and by what it was made."""
    out = io.BytesIO()
    with av.open(out, "w", format=writes, options={"fflags": "+bitexact"}) as file:
        file.metadata.update({"title": "canary", "location": "+55.7900+049.1200/"})
        stream = file.add_stream(codec, rate=48_000, layout="mono")
        for at in range(0, int(seconds * 48_000), 960):
            file.mux(stream.encode(_silence("flt" if codec == "libopus" else "fltp", 960, at)))
        file.mux(stream.encode(None))
    return out.getvalue()


def _silence(form: str, samples: int, at: int = 0) -> av.AudioFrame:
    frame = av.AudioFrame(format=form, layout="mono", samples=samples)
    frame.planes[0].update(bytes(frame.planes[0].buffer_size))
    frame.sample_rate, frame.pts = 48_000, at
    return frame


def long_silence() -> bytes:
    """A small file that takes long to listen to: packets of nothing, 60 ms each."""
    out = io.BytesIO()
    with av.open(out, "w", format="ogg") as file:
        options = {"frame_duration": "60"}
        stream = file.add_stream("libopus", rate=48_000, layout="mono", options=options)
        data = bytes((stream.encode(_silence("flt", 2880)) + stream.encode(None))[0])
        for at in range(0, 31 * 60 * 48_000, 2880):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts, packet.duration = stream, at, at, 2880
            file.mux(packet)
    return out.getvalue()


def film() -> bytes:
    """Moving pictures in what a sound is packed in."""
    out = io.BytesIO()
    with av.open(out, "w", format="ipod") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for _ in range(3):
            file.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        file.mux(stream.encode(None))
    return out.getvalue()


def refers(what: bytes, where: bytes) -> bytes:
    """A text of LibreOffice with something that is elsewhere."""
    spaces = b"xmlns:d='urn:d' xmlns:xlink='http://www.w3.org/1999/xlink'"
    return b"<o %s><%s xlink:href='%s'/></o>" % (spaces, what, where)


ENTITIES = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><document>&b;</document>'
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
PROGRAM = b"\x7fELF\x02\x01\x01" + bytes(2000)


class Hostile(NamedTuple):
    """A file, the name it is handed in by, and the code it has to be refused with."""

    name: str
    make: Callable[[], bytes]
    code: str


ZOO: dict[str, Hostile] = {
    "nothing": Hostile("a.pdf", lambda: b"", "file_empty"),
    "a program by a picture's name": Hostile("a.jpg", lambda: PROGRAM, "file_mismatch"),
    "a program by its own name": Hostile("a.exe", lambda: PROGRAM, "file_type_refused"),
    "a page of the web": Hostile("a.html", lambda: HTML, "file_type_refused"),
    "a page of the web as text": Hostile("a.txt", lambda: HTML, "file_type_refused"),
    "a drawing with a script": Hostile(
        "a.svg",
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "file_type_refused",
    ),
    "a picture's head alone": Hostile("a.png", lambda: png_of(10, 10), "file_broken"),
    "a picture cut in the middle": Hostile("a.jpg", lambda: photo()[:400], "file_broken"),
    "a picture of four thousand megapixels": Hostile(
        "a.png", lambda: png_of(65_000, 65_000), "file_too_many_pixels"
    ),
    "a film as a picture": Hostile("a.webp", animated, "file_animated"),
    "a picture that is an archive too": Hostile(
        "a.jpg", lambda: photo() + office(), "file_polyglot"
    ),
    "a picture that is a page of the web too": Hostile(
        "a.jpg", lambda: picture("JPEG", comment=HTML), "file_polyglot"
    ),
    "a PDF that is an archive too": Hostile("a.pdf", lambda: pdf() + office(), "file_polyglot"),
    "a PDF behind a page of the web": Hostile("a.pdf", lambda: HTML + pdf(), "file_mismatch"),
    "garbage with a PDF's first line": Hostile(
        "a.pdf", lambda: b"%PDF-1.7\n" + bytes(range(256)) * 40, "file_broken"
    ),
    "a PDF with a password": Hostile("a.pdf", locked_pdf, "file_locked"),
    "a PDF with a script": Hostile(
        "a.pdf", lambda: pdf(b"/OpenAction<</S/JavaScript/JS(app.alert(1))>>"), "file_active"
    ),
    "a PDF with a script in another spelling": Hostile(
        "a.pdf", lambda: pdf(b"/OpenAction<</S/J#61vaScript/J#53(app.alert(1))>>"), "file_active"
    ),
    "a PDF with a packed script": Hostile("a.pdf", packed_script, "file_active"),
    "a PDF with a script behind a stream": Hostile("a.pdf", script_behind_a_stream, "file_active"),
    "a PDF with a packed script in another spelling": Hostile(
        "a.pdf", lambda: packed_script(b"/Obj#53tm"), "file_active"
    ),
    "a PDF with a script packed twice": Hostile(
        "a.pdf",
        lambda: packed_script(
            filters=b"[/ASCII85Decode/FlateDecode]",
            pack=lambda data: base64.a85encode(zlib.compress(data)) + b"~>",
        ),
        "file_active",
    ),
    "a PDF with a script in figures": Hostile(
        "a.pdf",
        lambda: packed_script(
            filters=b"/ASCIIHexDecode", pack=lambda data: data.hex().encode() + b">"
        ),
        "file_active",
    ),
    "a PDF with a stream of objects cut off": Hostile(
        "a.pdf", lambda: packed_script(pack=lambda data: zlib.compress(data)[:-4]), "file_broken"
    ),
    "a PDF that is locked and opens": Hostile("a.pdf", opens_but_locked, "file_locked"),
    "a PDF that starts a program": Hostile(
        "a.pdf", lambda: pdf(b"/OpenAction<</S/Launch/F(cmd.exe)>>"), "file_active"
    ),
    "a PDF with a file inside": Hostile(
        "a.pdf", lambda: pdf(b"/Names<</EmbeddedFiles<</Names[]>>>>"), "file_active"
    ),
    "a PDF of 501 pages": Hostile("a.pdf", lambda: pdf(pages=501), "file_too_many_pages"),
    "an archive": Hostile("a.zip", lambda: packed({"a.txt": b"a"}), "file_type_refused"),
    "an archive by a document's name": Hostile(
        "a.docx", lambda: packed({"a.txt": b"a"}), "file_mismatch"
    ),
    "a table by a letter's name": Hostile("a.docx", lambda: office("xlsx"), "file_mismatch"),
    "a document of before 2007": Hostile("a.docx", lambda: OLD_OFFICE, "file_mismatch"),
    "a document with a lock": Hostile("a.docx", encrypted, "file_locked"),
    "a document with macros": Hostile(
        "a.docx", lambda: office(more={"word/vbaProject.bin": b"x"}), "file_macros"
    ),
    "a document that says it has macros": Hostile(
        "a.docx", lambda: office(macro=True), "file_macros"
    ),
    "a document of LibreOffice with macros": Hostile(
        "a.odt", lambda: odt({"Basic/Standard/Module1.xml": b"<m/>"}), "file_macros"
    ),
    "a document of LibreOffice with a script by another prefix": Hostile(
        "a.odt",
        lambda: odt({"content.xml": b"<o xmlns:s='%s'><s:event-listener/></o>" % SCRIPTS}),
        "file_macros",
    ),
    "a document of LibreOffice that fetches a picture": Hostile(
        "a.odt",
        lambda: odt({"content.xml": refers(b"d:image", b"https://a.org/t.png")}),
        "file_active",
    ),
    "a document of LibreOffice that fetches a part from a folder": Hostile(
        "a.odt", lambda: odt({"styles.xml": refers(b"d:source", b"../../a.odt")}), "file_active"
    ),
    "a document with a program inside": Hostile(
        "a.docx", lambda: office(more={"word/embeddings/1.bin": PROGRAM}), "file_nested"
    ),
    "a document with an archive inside": Hostile(
        "a.docx", lambda: office(more={"word/a.bin": packed({"a": b"a"})}), "file_nested"
    ),
    "a document that grows by its entities": Hostile(
        "a.docx", lambda: office(more={WORD: ENTITIES}), "file_active"
    ),
    "a document that fetches its template": Hostile(
        "a.docx", lambda: office(more={RELATIONS: relation("attachedTemplate")}), "file_active"
    ),
    "a bomb": Hostile("a.docx", bomb, "file_unpacks_too_large"),
    "a bomb whose parts are the same bytes": Hostile("a.docx", overlapping, "file_broken"),
    "a bomb that lies about its size": Hostile("a.docx", lying, "file_broken"),
    "a document of three thousand parts": Hostile(
        "a.docx",
        lambda: office(more={f"word/{n}": b"" for n in range(3000)}),
        "file_unpacks_too_large",
    ),
    "a document that would climb out": Hostile(
        "a.docx", lambda: office(more={"../../etc/cron.d/x": b"x"}), "file_broken"
    ),
    "a document behind something else": Hostile(
        "a.docx", lambda: b"PK\x03\x04" + bytes(60) + office(), "file_polyglot"
    ),
    "a document with something behind it": Hostile(
        "a.docx", lambda: office() + HTML, "file_polyglot"
    ),
    "text with zeros in it": Hostile("a.txt", lambda: b"a\0b", "file_not_text"),
    "text in an old alphabet": Hostile("a.txt", lambda: "Анализ".encode("cp1251"), "file_not_text"),
    "a table that computes": Hostile(
        "a.csv", lambda: b"name,value\n\"=cmd|' /c calc'!A1\",2\n", "file_active"
    ),
    "a table that computes behind a number": Hostile(
        "a.csv", lambda: b"a\n-2+3+cmd|' /C calc'!A0\n", "file_active"
    ),
    "a table that computes behind a comma": Hostile(
        "a.csv", lambda: b"a;b\n-2,5+1,5+(cmd|' /C calc'!A0);1\n", "file_active"
    ),
    "a sound cut in the middle": Hostile("a.m4a", lambda: sound()[:400], "file_broken"),
    "a film by a sound's name": Hostile("a.m4a", film, "file_mismatch"),
    "a sound by another's name": Hostile("a.mp3", sound, "file_mismatch"),
    "a sound that is an archive too": Hostile(
        "a.mp3", lambda: sound("libmp3lame", "mp3") + office(), "file_polyglot"
    ),
    "garbage with a sound's first letters": Hostile(
        "a.ogg", lambda: b"OggS" + bytes(range(256)) * 40, "file_broken"
    ),
    "half an hour of silence and more": Hostile("a.ogg", long_silence, "file_too_long"),
    "a table with lines of old": Hostile("a.csv", lambda: b"a\r=cmd()\r", "file_active"),
}

GOOD: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a photograph": ("Анализ.JPG", photo),
    "a picture of a screen": ("screen.png", lambda: picture("PNG")),
    "a picture by another's name": ("screen.png", lambda: picture("JPEG")),
    "a picture of the web": ("a.webp", lambda: picture("WEBP")),
    "a report": ("Заключение.pdf", pdf),
    "a letter": ("a.docx", office),
    "a letter with a link": (
        "a.docx",
        lambda: office(more={RELATIONS: relation("hyperlink")}),
    ),
    "a table": ("a.xlsx", lambda: office("xlsx")),
    "a letter of LibreOffice": ("a.odt", odt),
    "a diary": ("a.txt", "Көндәлек: 120/80\r\n".encode),
    "a letter of LibreOffice with a link and a picture of its own": (
        "a.odt",
        lambda: odt(
            {
                "content.xml": refers(b"d:a", b"https://a.org/"),
                "styles.xml": refers(b"d:image", b"Pictures/1.png"),
            }
        ),
    ),
    "a report of packed objects": ("a.pdf", lambda: packed_script(script=b"")),
    "a cough": ("Йөткерү.m4a", sound),
    "a voice": ("a.mp3", lambda: sound("libmp3lame", "mp3")),
    "a voice of a messenger": ("a.ogg", lambda: sound("libopus", "ogg")),
    "numbers as text": (
        "a.csv",
        lambda: b"a,b\n-5,+7 (900) 123-45-67\n-5,4;-1.5e-3\n-5,2026-03-01,x (y)\n-;-\n",
    ),
    "a table as text": ("a.csv", lambda: b"\xef\xbb\xbfdate;mmol\n2026-03-01;-5.4\n"),
}
