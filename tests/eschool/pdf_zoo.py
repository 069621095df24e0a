"""PDFs made by code: decks as teachers have them, and files nobody should have to read."""

import io
import zipfile
import zlib
from collections.abc import Sequence

SLIDE_PT = (960, 540)
# Letters Tatar has and Russian has not.
TATAR = "Җәй көне үсә: ң, һ, ө"
EXECUTABLE = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(2000)
GARBAGE = b"%PDF-1.7\n" + bytes(range(256)) * 40


class Pdf:
    """A PDF as a list of objects; the first one is the catalogue, the second its pages."""

    def __init__(self) -> None:
        self.objects: list[bytes] = [b"<</Type/Catalog/Pages 2 0 R>>", b""]
        self.pages: list[int] = []
        self.trailer = b""

    def add(self, body: bytes) -> int:
        """Add an object; give its number."""
        self.objects.append(body)
        return len(self.objects)

    def stream(self, data: bytes, dictionary: bytes = b"") -> int:
        """Add a compressed stream."""
        packed = zlib.compress(data)
        head = b"<<%s/Filter/FlateDecode/Length %d>>" % (dictionary, len(packed))
        return self.add(head + b"\nstream\n" + packed + b"\nendstream")

    def page(
        self, content: bytes, resources: bytes = b"<<>>", size: tuple[float, float] = SLIDE_PT
    ) -> None:
        """Add a page."""
        words = self.stream(content)
        box = b"[0 0 %s %s]" % tuple(str(side).encode() for side in size)
        self.pages.append(
            self.add(
                b"<</Type/Page/Parent 2 0 R/MediaBox%s/Contents %d 0 R/Resources%s>>"
                % (box, words, resources)
            )
        )

    def made(self) -> bytes:
        """Write it out, with its table of offsets."""
        kids = b" ".join(b"%d 0 R" % page for page in self.pages)
        self.objects[1] = b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(self.pages))
        out = io.BytesIO()
        out.write(b"%PDF-1.7\n")
        offsets = []
        for number, body in enumerate(self.objects, start=1):
            offsets.append(out.tell())
            out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
        table = out.tell()
        out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(offsets) + 1))
        out.writelines(b"%010d 00000 n \n" % offset for offset in offsets)
        out.write(
            b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n"
            % (len(offsets) + 1, self.trailer, table)
        )
        return out.getvalue()


def deck(texts: Sequence[str], size: tuple[float, float] = SLIDE_PT) -> bytes:
    """Give a deck with a page for each text, line by line."""
    pdf = Pdf()
    letters = sorted({letter for text in texts for letter in text if letter != "\n"})
    codes = {letter: code for code, letter in enumerate(letters, start=1)}
    pairs = b"\n".join(
        b"<%02x> <%s>" % (code, letter.encode("utf-16-be").hex().encode())
        for letter, code in codes.items()
    )
    # The shapes are Helvetica's; what a code means is said by its ToUnicode table.
    meaning = pdf.stream(
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        b"1 begincodespacerange <00> <ff> endcodespacerange\n"
        b"%d beginbfchar\n%s\nendbfchar\nendcmap end end" % (len(codes), pairs)
    )
    font = pdf.add(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode %d 0 R>>" % meaning)
    for text in texts:
        lines = b"".join(
            b"<%s> Tj 0 -60 Td " % bytes(codes[letter] for letter in line).hex().encode()
            for line in text.splitlines()
        )
        pdf.page(
            b"0.9 0.2 0.2 rg 0 0 200 100 re f 0 g BT /F1 40 Tf 60 %d Td %sET"
            % (size[1] - 100, lines),
            b"<</Font<</F1 %d 0 R>>>>" % font,
            size,
        )
    return pdf.made()


def locked() -> bytes:
    """Give a PDF nobody has the password of."""
    pdf = Pdf()
    pdf.page(b"0 0 10 10 re f")
    owner, user = b"4f" * 32, b"a7" * 32
    lock = pdf.add(b"<</Filter/Standard/V 1/R 2/O<%s>/U<%s>/P -4>>" % (owner, user))
    pdf.trailer = b"/Encrypt %d 0 R/ID[<00><00>]" % lock
    return pdf.made()


def endless() -> bytes:
    """Give a page that draws a form that draws a form …, ten times each: no end in sight."""
    pdf = Pdf()
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 960 540]/Resources<<%s>>"
    inner = pdf.stream(b"0 0 960 540 re f " * 1000, form % b"")
    for _ in range(9):
        again = b"/XObject<</X %d 0 R>>" % inner
        inner = pdf.stream(b"/X Do " * 10, form % again)
    pdf.page(b"/X Do", b"<</XObject<</X %d 0 R>>>>" % inner)
    return pdf.made()


def flood(side_px: int) -> bytes:
    """Give a small file that holds one enormous picture."""
    pdf = Pdf()
    packer = zlib.compressobj(9)
    row = bytes(side_px * 3)
    packed = b"".join(packer.compress(row) for _ in range(side_px)) + packer.flush()
    picture = pdf.add(
        b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceRGB"
        b"/BitsPerComponent 8/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream"
        % (side_px, side_px, len(packed), packed)
    )
    pdf.page(b"960 0 0 540 0 0 cm /I Do", b"<</XObject<</I %d 0 R>>>>" % picture)
    return pdf.made()


def archive() -> bytes:
    """Give a ZIP file, as office files are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("ppt/slide1.xml", "<p/>" * 100)
    return out.getvalue()


def page_of_web() -> bytes:
    """Give a file that a browser reads as a page with a script, and a lenient reader as a PDF."""
    return b"<!doctype html><script>alert(1)</script><!--\n" + deck(["A"]) + b"-->"
