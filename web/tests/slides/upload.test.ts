import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { setLanguage } from '../../src/i18n/language.svelte';
import type { Deck } from '../../src/slides/deck';
import SlideUpload from '../../src/slides/SlideUpload.svelte';

const lessonId = '0197aaaa-0000-7000-8000-000000000008';
const deck: Deck = { id: 'd', name: 'Дроби.pdf', pages: 3, texts: ['', '', ''] };
const pdf = () => new File(['%PDF-1.7 slides'], 'Дроби 1.pdf', { type: 'application/pdf' });

interface Arrived {
  url: string;
  type: string | undefined;
  bytes: number;
}
let server: Server;
let arrived: Arrived[];
/** What the server does with a file it has whole. */
let answer: { status: number; body: object } | 'break' | 'think';
let added: Deck[];
const home = location.href;

// A server of its own: XMLHttpRequest has no fetch to be replaced.
beforeEach(async () => {
  setLanguage('en');
  arrived = [];
  added = [];
  server = createServer((request, response) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Allow-Headers', '*');
    response.setHeader('Access-Control-Allow-Methods', 'PUT');
    if (request.method === 'OPTIONS') {
      response.end();
      return;
    }
    let bytes = 0;
    request.on('data', (part: Buffer) => (bytes += part.length));
    request.on('end', () => {
      arrived.push({ url: request.url!, type: request.headers['content-type'], bytes });
      if (answer === 'break') request.socket.destroy();
      else if (answer !== 'think') {
        response.statusCode = answer.status;
        response.end(JSON.stringify(answer.body));
      }
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  const base = document.createElement('base');
  base.href = `http://127.0.0.1:${port}/`;
  document.head.append(base);
  render(SlideUpload, { lessonId, onadded: (one: Deck) => added.push(one) });
});

afterEach(async () => {
  document.querySelector('base')?.remove();
  expect(location.href).toBe(home);
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

const choose = (...files: File[]) =>
  userEvent.upload(screen.getByTestId('slide-file'), files, { applyAccept: false });

it('a PDF is sent under its name and handed on as slides', async () => {
  answer = { status: 201, body: deck };
  await choose(pdf());
  await waitFor(() => expect(added).toEqual([deck]));
  const name = encodeURIComponent('Дроби 1.pdf');
  expect(arrived).toEqual([
    { url: `/api/v1/lessons/${lessonId}/slides?name=${name}`, type: 'application/pdf', bytes: 15 },
  ]);
});

it('a refusal is said in words, and the next file may be chosen', async () => {
  answer = { status: 422, body: { code: 'pdf_locked', status: 422 } };
  await choose(pdf());
  expect(await screen.findByRole('alert')).toHaveTextContent('locked with a password');
  answer = { status: 201, body: deck };
  await choose(pdf());
  await waitFor(() => expect(added).toEqual([deck]));
  expect(screen.queryByRole('alert')).toBeNull();
});

it('a broken link says that nothing was stored', async () => {
  answer = 'break';
  await choose(pdf());
  expect(await screen.findByRole('alert')).toHaveTextContent('Nothing was stored');
});

it('a renamed program never leaves the page', async () => {
  await choose(new File(['MZ\x90\0'], 'lesson.pdf', { type: 'application/pdf' }));
  expect(await screen.findByRole('alert')).toHaveTextContent('This is not a PDF');
  expect(arrived).toEqual([]);
});

it('sending can be cancelled while the server has not answered', async () => {
  answer = 'think';
  await choose(pdf());
  expect(await screen.findByText('Sending “Дроби 1.pdf”')).toBeInTheDocument();
  await userEvent.click(screen.getByRole('button', { name: 'Cancel sending' }));
  expect(await screen.findByRole('button', { name: 'Choose a PDF file' })).toBeInTheDocument();
  expect(screen.queryByRole('alert')).toBeNull();
  expect(added).toEqual([]);
});
