// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Phase } from '../../src/live/link';
import { RoomSocket, TicketRefused } from '../../src/live/socket';
import { readMessage, type ClientMessage, type ServerMessage } from '../../src/visit/wire';
import { WsServer, type Peer } from './wsserver';

const WELCOME = JSON.stringify({
  type: 'welcome',
  you: 'me',
  members: [],
  streams: [],
  server_time: '2026-03-01T10:00:00Z',
});

let server: WsServer;
let socket: RoomSocket<ServerMessage, ClientMessage>;
let phases: Phase[];
let messages: ServerMessage[];
let frames: number[];
let tickets: number;
let refuse: TicketRefused | null;

/** Answers hello with welcome, as the server does. */
function greets(peer: Peer, text: string): void {
  if ((JSON.parse(text) as { type: string }).type === 'hello') peer.send(WELCOME);
}

beforeEach(async () => {
  server = new WsServer();
  server.onText = greets;
  phases = [];
  messages = [];
  frames = [];
  tickets = 0;
  refuse = null;
  socket = new RoomSocket({
    url: await server.start(),
    tab: 'tab-1',
    ticket: () => {
      tickets += 1;
      return refuse === null ? Promise.resolve(`ticket-${tickets}`) : Promise.reject(refuse);
    },
    resume: () => ['t1'],
    read: readMessage,
    welcome: 'welcome',
    onMessage: (message) => messages.push(message),
    onFrame: (frame) => frames.push(frame.byteLength),
    onPhase: (phase) => phases.push(phase),
  });
});

afterEach(() => {
  socket.stop();
  server.stop();
});

const reach = (phase: Phase) =>
  vi.waitFor(() => expect(socket.phase).toBe(phase), { timeout: 5_000, interval: 10 });

describe('a room’s socket over a real connection', () => {
  it('says hello first, with its ticket, tab and living transports', async () => {
    socket.start();
    await reach('open');
    expect(phases).toEqual(['ticket', 'connecting', 'greeting', 'open']);
    expect(JSON.parse(server.peers[0]?.texts[0] ?? '')).toEqual({
      type: 'hello',
      ticket: 'ticket-1',
      tab: 'tab-1',
      resume: ['t1'],
    });
  });

  it('hands over messages and binary frames, and passes over what it does not know', async () => {
    socket.start();
    await reach('open');
    const [peer] = server.peers;
    peer?.send('{"type":"newer than this page"}');
    peer?.send(new Uint8Array(178));
    peer?.send('{"type":"media_away"}');
    await vi.waitFor(() => expect(messages.at(-1)?.type).toBe('media_away'));
    expect(messages.map(({ type }) => type)).toEqual(['welcome', 'media_away']);
    expect(frames).toEqual([178]);
  });

  it('sends only over an open link', async () => {
    expect(socket.send({ type: 'media_ready', audio: true, video: true, screen: false })).toBe(
      false,
    );
    socket.start();
    await reach('open');
    expect(socket.send({ type: 'media_ready', audio: true, video: false, screen: false })).toBe(
      true,
    );
    await vi.waitFor(() => expect(server.peers[0]?.texts).toHaveLength(2));
  });

  it('comes back with a new ticket after the cable was pulled', async () => {
    socket.start();
    await reach('open');
    server.peers[0]?.cut();
    await reach('waiting');
    await reach('open');
    expect(JSON.parse(server.peers[1]?.texts[0] ?? '')).toMatchObject({ ticket: 'ticket-2' });
  });

  it('comes back by its newest way back without a ticket, until that is refused', async () => {
    server.onText = (peer, text) => {
      greets(peer, text);
      peer.send('{"type":"way_back","resume_token":"newest"}');
    };
    socket.start();
    await reach('open');
    await vi.waitFor(() => expect(messages.at(-1)?.type).toBe('way_back'));
    server.peers[0]?.cut();
    await reach('waiting');
    await reach('open');
    const hello = JSON.parse(server.peers[1]?.texts[0] ?? '') as Record<string, unknown>;
    expect([hello.resume_token, hello.ticket, tickets]).toEqual(['newest', undefined, 1]);
    server.peers[1]?.close(4401);
    await vi.waitFor(() => expect(server.peers).toHaveLength(3));
    await reach('open');
    expect(JSON.parse(server.peers[2]?.texts[0] ?? '')).toMatchObject({ ticket: 'ticket-2' });
  });

  it('leaves the visit to the newer tab until it is taken back', async () => {
    socket.start();
    await reach('open');
    server.peers[0]?.close(4409);
    await reach('replaced');
    expect(server.peers).toHaveLength(1);
    socket.takeBack();
    await reach('open');
    expect(server.peers).toHaveLength(2);
  });

  it('rests when the session is over, and goes on after signing in', async () => {
    socket.start();
    await reach('open');
    refuse = new TicketRefused(401);
    server.peers[0]?.close(4401);
    await reach('expired');
    refuse = null;
    socket.signedIn();
    await reach('open');
  });

  it('does not let a dropped connection speak for the new one', async () => {
    socket.start();
    await reach('open');
    const [old] = server.peers;
    socket.renew();
    await vi.waitFor(() => expect(server.peers).toHaveLength(2));
    await reach('open');
    messages.length = 0;
    old?.send('{"type":"stores_away"}');
    server.peers[1]?.send('{"type":"stores_back"}');
    await vi.waitFor(() => expect(messages.length).toBeGreaterThan(0));
    expect(messages.map(({ type }) => type)).toEqual(['stores_back']);
  });
});
