/** A WebSocket server of a few lines (RFC 6455, unfragmented frames), so that the link is tested over TCP. */

import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

function header(opcode: number, length: number): Buffer {
  if (length < 126) return Buffer.from([0x80 | opcode, length]);
  const long = Buffer.alloc(4);
  long[0] = 0x80 | opcode;
  long[1] = 126;
  long.writeUInt16BE(length, 2);
  return long;
}

/** One accepted connection. */
export class Peer {
  readonly texts: string[] = [];
  readonly #stream: Duplex;
  readonly #onText: (peer: Peer, text: string) => void;
  #rest = Buffer.alloc(0);

  constructor(stream: Duplex, onText: (peer: Peer, text: string) => void) {
    this.#stream = stream;
    this.#onText = onText;
    stream.on('data', (bytes: Buffer) => this.#take(bytes));
    stream.on('error', () => {});
  }

  send(data: string | Uint8Array): void {
    const body = Buffer.from(data as Uint8Array);
    this.#stream.write(
      Buffer.concat([header(typeof data === 'string' ? 1 : 2, body.length), body]),
    );
  }

  close(code: number): void {
    const body = Buffer.alloc(2);
    body.writeUInt16BE(code);
    this.#stream.end(Buffer.concat([header(8, 2), body]));
  }

  /** The cable is pulled: no close frame. */
  cut(): void {
    this.#stream.destroy();
  }

  #take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (;;) {
      const [first, second] = this.#rest;
      if (first === undefined || second === undefined) return;
      const short = second & 0x7f;
      const at = short === 126 ? 4 : 2;
      if (this.#rest.length < at + 4) return;
      const length = short === 126 ? this.#rest.readUInt16BE(2) : short;
      if (this.#rest.length < at + 4 + length) return;
      const mask = this.#rest.subarray(at, at + 4);
      const body = this.#rest
        .subarray(at + 4, at + 4 + length)
        .map((b, i) => b ^ (mask[i % 4] ?? 0));
      this.#rest = this.#rest.subarray(at + 4 + length);
      if ((first & 0x0f) !== 1) continue;
      const text = Buffer.from(body).toString();
      this.texts.push(text);
      this.#onText(this, text);
    }
  }
}

export class WsServer {
  readonly peers: Peer[] = [];
  onText: (peer: Peer, text: string) => void = () => {};
  readonly #http: Server = createServer();

  async start(): Promise<string> {
    this.#http.on('upgrade', (request, stream: Duplex) => {
      const key = createHash('sha1')
        .update(`${request.headers['sec-websocket-key'] ?? ''}${GUID}`)
        .digest('base64');
      stream.write(
        'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
          `Sec-WebSocket-Accept: ${key}\r\n\r\n`,
      );
      this.peers.push(new Peer(stream, (peer, text) => this.onText(peer, text)));
    });
    await new Promise<void>((done) => this.#http.listen(0, '127.0.0.1', done));
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}/`;
  }

  stop(): void {
    for (const peer of this.peers) peer.cut();
    this.#http.close();
  }
}
