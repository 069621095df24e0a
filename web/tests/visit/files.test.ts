import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { VisitFile } from '../../src/api/types';
import { setLanguage } from '../../src/i18n/language.svelte';
import FilesPanel from '../../src/visit/FilesPanel.svelte';
import { sizeText } from '../../src/visit/files/files';
import { network, problem, type Sent } from '../network';

const id = '0197aaaa-0000-7000-8000-000000000009';
const path = `/api/v1/visits/${id}/files`;
const file = (more: Partial<VisitFile> = {}): VisitFile => ({
  id: 'f1',
  name: 'Blood.pdf',
  kind: 'pdf',
  size: 300_000,
  at: '2026-03-02T09:00:00Z',
  side: 'patient',
  mine: true,
  preview: true,
  lost: false,
  ...more,
});
const pdf = () => new File(['%PDF-1.7'], 'Blood.pdf', { lastModified: 1 });

let server: Server;
let urls: string[];
let answers: ({ status: number; body: object } | 'break')[];

// A server of its own: XMLHttpRequest has no fetch to be replaced.
beforeEach(async () => {
  setLanguage('en');
  urls = [];
  server = createServer((request, response) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Allow-Headers', '*');
    response.setHeader('Access-Control-Allow-Methods', 'PUT');
    if (request.method === 'OPTIONS') {
      response.end();
      return;
    }
    request.resume();
    request.on('end', () => {
      urls.push(request.url!);
      const answer = answers.shift()!;
      if (answer === 'break') {
        request.socket.destroy();
        return;
      }
      response.statusCode = answer.status;
      response.end(JSON.stringify(answer.body));
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const base = document.createElement('base');
  base.href = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  document.head.append(base);
});

afterEach(async () => {
  document.querySelector('base')?.remove();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

function shown(files: VisitFile[], open = true, more: Parameters<typeof network>[0] = {}): Sent[] {
  const sent = network({ [`GET ${path}`]: { body: files }, ...more });
  render(FilesPanel, { id, told: 0, open, doctor: false });
  return sent;
}

const choose = async (one: File) =>
  userEvent.upload(await screen.findByTestId('file-input'), one, { applyAccept: false });

it('a file has its name, size and who added it; only its own can be taken back', async () => {
  shown([file(), file({ id: 'f2', name: 'x.jpg', kind: 'jpeg', mine: false, side: 'doctor' })]);
  expect(await screen.findByText('Blood.pdf')).toBeInTheDocument();
  expect(screen.getByText(/293 KB · added by you/)).toBeInTheDocument();
  expect(screen.getByText(/added by the doctor/)).toBeInTheDocument();
  expect(screen.getByRole('link', { name: 'Download: Blood.pdf' })).toHaveAttribute(
    'href',
    `${path}/f1`,
  );
  expect(screen.getByRole('button', { name: 'Open: x.jpg' })).toBeInTheDocument();
  expect(screen.getAllByRole('button', { name: /^Remove:/ })).toHaveLength(1);
});

it('after the visit files are read and not changed', async () => {
  shown([file()], false);
  expect(await screen.findByText('Blood.pdf')).toBeInTheDocument();
  expect(screen.queryByTestId('file-input')).toBeNull();
  expect(screen.queryByRole('button', { name: /^Remove:/ })).toBeNull();
});

it('what is lost says so and cannot be opened', async () => {
  shown([file({ lost: true })]);
  expect(await screen.findByText('Its contents are lost')).toBeInTheDocument();
  expect(screen.queryByRole('link')).toBeNull();
});

it('a file that is chosen again after a lost answer keeps its id', async () => {
  answers = ['break', { status: 200, body: file() }];
  shown([]);
  await choose(pdf());
  expect(await screen.findByRole('alert')).toHaveTextContent('did not arrive');
  await choose(pdf());
  expect(await screen.findByText('Blood.pdf')).toBeInTheDocument();
  expect(screen.queryByRole('alert')).toBeNull();
  expect(urls).toHaveLength(2);
  expect(urls[0]).toBe(urls[1]);
});

it('a refusal is said in words', async () => {
  answers = [{ status: 422, body: { code: 'file_too_many_pixels', params: { max: 64 } } }];
  shown([]);
  await choose(pdf());
  expect(await screen.findByRole('alert')).toHaveTextContent('up to 64 megapixels');
});

it.each([
  ['run.exe', 'not taken'],
  ['empty.pdf', 'empty'],
])('%s never leaves the page', async (name, said) => {
  answers = [];
  shown([]);
  await choose(new File([], name));
  expect(await screen.findByRole('alert')).toHaveTextContent(said);
  expect(urls).toEqual([]);
});

it('a file is taken back after a question', async () => {
  const sent = shown([file()], true, { [`DELETE ${path}/f1`]: { status: 204 } });
  await userEvent.click(await screen.findByRole('button', { name: 'Remove: Blood.pdf' }));
  await userEvent.click(screen.getByRole('button', { name: 'Remove' }));
  await waitFor(() => expect(screen.queryByText('Blood.pdf')).toBeNull());
  expect(sent.map(({ method }) => method)).toEqual(['GET', 'DELETE']);
});

it('a list that cannot be had can be asked for again', async () => {
  network({ [`GET ${path}`]: [problem(503, 'stores_away'), { body: [file()] }] });
  render(FilesPanel, { id, told: 0, open: true, doctor: true });
  await userEvent.click(await screen.findByRole('button', { name: 'Try again' }));
  expect(await screen.findByText('Blood.pdf')).toBeInTheDocument();
});

it('a size is short', () => {
  expect([100, 2_000, 5 * 1024 * 1024].map(sizeText)).toEqual(['1 KB', '2 KB', '5 MB']);
});
