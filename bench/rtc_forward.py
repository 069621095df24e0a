"""What forwarding costs the worker, beside decoding and encoding the same picture again.

The peer is the codec pair a mixing server runs for every viewer, on the very same frames; its
network is left out, in its favour. `fwd.relay` runs such a server in earnest.
"""

import statistics
import time
from fractions import Fraction

from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from bench.harness import Row, at_least
from bench.rtc_clip import FRAME_RATE, Clip, clip
from bench.rtc_fwd import SHARE, stage
from bench.rtc_join import LOAD_A
from bench.rtc_servers import ours

VIEWERS = (1, 20)
# A mixing server's per-packet cost over ours: what "nothing is decoded" must at least mean. With
# one viewer the wake-up per incoming packet weighs most, and it is no cheaper for anybody.
LEAST_RATIO = {1: 4.0, 20: 30.0}


def recoding_us(picture: Clip, viewers: int) -> float:
    """CPU µs per outgoing packet of a server that decodes once and encodes per viewer."""
    server_in, server_out = Vp8Decoder(), Vp8Encoder()
    server_out.target_bitrate = LOAD_A[2]
    decode, encode = [], []
    for n, payloads in enumerate(picture.frames):
        whole = b"".join(map(vp8_depayload, payloads))
        began = time.process_time()
        decoded = server_in.decode(JitterFrame(whole, n))
        decode.append(time.process_time() - began)
        for each in decoded:
            each.pts, each.time_base = n, Fraction(1, FRAME_RATE)
            began = time.process_time()
            server_out.encode(each)
            encode.append(time.process_time() - began)
    cost = statistics.mean(decode) / viewers + statistics.mean(encode)
    return cost / picture.packets_per_frame * 1e6


async def measure() -> list[Row]:
    """The rows of one and of twenty viewers."""
    picture = clip(*LOAD_A)
    rows = []
    for viewers in VIEWERS:
        peer = recoding_us(picture, viewers)
        async with ours() as server, stage(server, picture, viewers) as built:
            await built.turn()
        us, share = built.us[0], built.shares[0]
        ratio = peer / us
        rows += [
            Row(f"forward.cpu.{viewers}", us, "us/packet", peer),
            at_least(
                f"forward.ratio.{viewers}", ratio, "recoding/forwarding", bar=LEAST_RATIO[viewers]
            ),
            at_least(f"forward.delivered.{viewers}", share, "of sent", bar=SHARE),
        ]
    return rows
