import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { VisitFile } from '../../src/api/types';
import { setLanguage } from '../../src/i18n/language.svelte';
import type { EcgSeen } from '../../src/visit/files/ecg';
import FilesPanel from '../../src/visit/FilesPanel.svelte';
import { network, problem, type Reply, type Sent } from '../network';

const id = '0197aaaa-0000-7000-8000-000000000009';
const list = `GET /api/v1/visits/${id}/files`;
const look = `POST /api/v1/visits/${id}/ecg-files`;
const kept: VisitFile = {
  id: 'e1',
  name: 'night.edf',
  kind: 'ecg',
  size: 300_000,
  at: '2026-03-02T09:00:00Z',
  side: 'patient',
  mine: true,
  preview: true,
  lost: false,
};
const seen = (more: Partial<EcgSeen> = {}): EcgSeen => ({
  sha256: 'a'.repeat(64),
  format: 'edf',
  leads: [
    { name: 'I', missing: 0 },
    { name: 'II', missing: 0.025 },
  ],
  rate_hz: 250,
  seconds: 75,
  started_at: '2026-03-01T08:30:00',
  zoned: false,
  marks: 0,
  acceptable: false,
  doubts: [{ lead: 'II', reason: 'movement' }],
  from_s: 0,
  drawn: 2,
  strip: '<svg xmlns="http://www.w3.org/2000/svg"/>',
  ...more,
});

let server: Server;
let urls: string[];
let lost: number;

// A server of its own: what is kept is sent by XMLHttpRequest, which has no fetch to be replaced.
beforeEach(async () => {
  setLanguage('en');
  vi.stubGlobal('URL', Object.assign(URL, { createObjectURL: () => 'blob:strip' }));
  Object.assign(URL, { revokeObjectURL: () => undefined });
  [urls, lost] = [[], 0];
  server = createServer((request, response) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Allow-Headers', '*');
    response.setHeader('Access-Control-Allow-Methods', 'PUT');
    if (request.method !== 'OPTIONS') urls.push(request.url!);
    request.resume();
    request.on('end', () => {
      if (request.method === 'PUT' && lost-- > 0) response.destroy();
      else response.end(JSON.stringify(kept));
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

function shown(files: VisitFile[], more: Record<string, Reply | Reply[]>): Sent[] {
  const sent = network({ [list]: { body: files }, ...more });
  render(FilesPanel, { id, told: 0, open: true, doctor: false });
  return sent;
}

const choose = async (): Promise<void> => {
  const input = await screen.findByTestId('ecg-file-input');
  const file = new File(['0       '], 'night.edf', { lastModified: 1 });
  await userEvent.upload(input, file, { applyAccept: false });
};

it('an ECG file is shown before anything of it is kept', async () => {
  shown([], { [look]: { body: seen() } });
  await choose();
  expect(await screen.findByText('What is in “night.edf”')).toBeInTheDocument();
  expect(screen.getByText('EDF, EDF+')).toBeInTheDocument();
  expect(screen.getByText('I, II')).toBeInTheDocument();
  expect(screen.getByText('1 min 15 s')).toBeInTheDocument();
  expect(screen.getByText('II: 2.5%')).toBeInTheDocument();
  expect(screen.getByText(/cannot be read/)).toBeInTheDocument();
  expect(screen.getByText('II: movement')).toBeInTheDocument();
  expect(screen.getByText(/by the recorder's clock/)).toBeInTheDocument();
  expect(await screen.findByTestId('ecg-strip')).toHaveAttribute('src', 'blob:strip');
  expect(urls).toEqual([]);
  await userEvent.click(screen.getByRole('button', { name: 'Add to the visit' }));
  expect(await screen.findByRole('button', { name: 'Open the ECG: night.edf' })).toBeVisible();
  expect(screen.queryByTestId('ecg-file')).toBeNull();
  const [put] = urls;
  expect(put).toContain(`/visits/${id}/ecg-files/`);
  expect(put).toContain(`name=night.edf&sha256=${'a'.repeat(64)}`);
});

it('a file kept whose answer was lost is the same one when it is chosen again', async () => {
  shown([], { [look]: { body: seen() } });
  lost = 1;
  await choose();
  await userEvent.click(await screen.findByRole('button', { name: 'Add to the visit' }));
  expect(await screen.findByRole('alert')).toBeInTheDocument();
  await userEvent.click(screen.getByRole('button', { name: 'Close' }));
  await choose();
  await userEvent.click(await screen.findByRole('button', { name: 'Add to the visit' }));
  expect(await screen.findByRole('button', { name: 'Open the ECG: night.edf' })).toBeVisible();
  expect(urls).toHaveLength(2);
  expect(new Set(urls).size).toBe(1);
});

it('a file that is no ECG is told why, and cannot be kept', async () => {
  shown([], { [look]: problem(422, 'ecg_file_unknown') });
  await choose();
  expect(await screen.findByText(/does not look like an ECG recording/)).toBeInTheDocument();
  expect(screen.queryByRole('button', { name: 'Add to the visit' })).toBeNull();
});

it('a kept ECG is read row by row, at the speed and gain that are chosen', async () => {
  const path = `/api/v1/visits/${id}/ecg-files/e1`;
  const sent = shown([kept], { [`GET ${path}`]: { body: seen() } });
  await userEvent.click(await screen.findByRole('button', { name: 'Open the ECG: night.edf' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Later' }));
  await userEvent.click(await screen.findByRole('radio', { name: '50' }));
  await vi.waitFor(() => {
    const asked = sent.filter((one) => one.path === path).map((one) => one.search);
    expect(asked).toEqual([
      '?from_s=0&seconds=10&speed_mm_s=25&gain_mm_mv=10',
      '?from_s=10&seconds=10&speed_mm_s=25&gain_mm_mv=10',
      '?from_s=10&seconds=5&speed_mm_s=50&gain_mm_mv=10',
    ]);
  });
  expect(screen.getByRole('link', { name: 'Save a PDF' })).toHaveAttribute(
    'href',
    `${path}/print?from_s=10&seconds=5&speed_mm_s=50&gain_mm_mv=10`,
  );
});

it('a kept ECG that could not be had is asked for again at a word', async () => {
  const route = `GET /api/v1/visits/${id}/ecg-files/e1`;
  shown([kept], { [route]: [problem(503, 'server_away'), { body: seen() }] });
  await userEvent.click(await screen.findByRole('button', { name: 'Open the ECG: night.edf' }));
  await userEvent.click(await screen.findByRole('button', { name: 'Try again' }));
  expect(await screen.findByTestId('ecg-strip')).toBeInTheDocument();
  expect(screen.queryByRole('alert')).toBeNull();
});
