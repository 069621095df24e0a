import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { setLanguage } from '../src/i18n/language.svelte';
import VerifyPage from '../src/verify/VerifyPage.svelte';
import { network, problem, type Reply } from './network';

const checked = {
  state: 'genuine',
  kind: 'certificate',
  audience: 'school',
  number: '2026-000012',
  organisation: 'Айболит',
  signed_on: '2026-03-02',
  ended_at: null,
};
const key = {
  id: 'abc123',
  organisation: { id: '0197aaaa-0000-7000-8000-000000000007', name: 'Айболит' },
  public: 'AA',
  pem: '',
  made_at: '2026-01-01T00:00:00Z',
  retired_at: null,
  compromised_since: null,
};

const server = (line: Reply, keys: object[] = [key]) =>
  network({ 'POST /api/v1/verify/line': line, 'GET /api/v1/verify/keys': { body: keys } });

async function paste(text: string): Promise<void> {
  await userEvent.type(await screen.findByTestId('verify-paste'), text);
  await userEvent.click(screen.getByRole('button', { name: 'Verify' }));
}

beforeEach(() => setLanguage('en'));
afterEach(() => vi.unstubAllGlobals());

it('warns of another house in front of a genuine code, and asks only its own', async () => {
  const sent = server({ body: checked });
  render(VerifyPage, { id: '' });
  await paste('https://evil.example/#/verify/YQ.Yg');
  expect(await screen.findByTestId('verdict')).toHaveAttribute('data-state', 'genuine');
  expect(screen.getByTestId('elsewhere')).toHaveTextContent('evil.example');
  expect(sent.map(({ path }) => path)).toEqual(['/api/v1/verify/keys', '/api/v1/verify/line']);
  expect(JSON.parse(sent[1]?.body ?? '')).toEqual({ line: 'YQ.Yg' });
});

it('warns of nobody when the code leads here', async () => {
  server({ body: checked });
  render(VerifyPage, { id: '' });
  await paste(`${location.origin}/#/verify/YQ.Yg`);
  await screen.findByTestId('verdict');
  expect(screen.queryByTestId('elsewhere')).toBeNull();
});

it('judges by the signature alone while the server is away', async () => {
  server({ down: true });
  render(VerifyPage, { id: '' });
  await paste('YQ.Yg');
  expect(await screen.findByTestId('verdict')).toHaveAttribute('data-state', 'forged');
});

it('says that the server is away when it has no key to judge by', async () => {
  server({ down: true }, []);
  render(VerifyPage, { id: '' });
  await paste('YQ.Yg');
  expect(await screen.findByRole('alert')).toBeVisible();
  expect(screen.queryByTestId('verdict')).toBeNull();
});

it('takes no silence for a verdict: too many tries are said', async () => {
  server(problem(429, 'too_many_attempts'));
  render(VerifyPage, { id: '' });
  await paste('YQ.Yg');
  expect(await screen.findByRole('alert')).toBeVisible();
  expect(screen.queryByTestId('verdict')).toBeNull();
});

it('says that a text is no code, and asks nobody', async () => {
  const sent = server({ body: checked });
  render(VerifyPage, { id: '' });
  await paste('https://cafe.example/menu');
  expect(await screen.findByText('This is not the code of a document.')).toBeVisible();
  expect(sent.map(({ path }) => path)).toEqual(['/api/v1/verify/keys']);
});

it('says when a key is not to be trusted', async () => {
  server({ body: { ...checked, state: 'untrusted' } }, [
    { ...key, compromised_since: '2026-04-01T00:00:00Z' },
  ]);
  render(VerifyPage, { id: 'YQ.Yg' });
  expect(await screen.findByTestId('verdict')).toHaveAttribute('data-state', 'untrusted');
  expect(screen.getByText('This key is no longer to be trusted.')).toBeVisible();
});

it('tells of the code checked last, though the one before is answered later', async () => {
  const waiting: ((answer: Response) => void)[] = [];
  const said = (body: unknown) => new Response(JSON.stringify(body), { status: 200 });
  vi.stubGlobal('fetch', (request: Request) =>
    request.method === 'GET'
      ? Promise.resolve(said([]))
      : new Promise<Response>((answer) => waiting.push(answer)),
  );
  render(VerifyPage, { id: 'YQ.Yg' });
  await paste('Yg.YQ');
  await vi.waitFor(() => expect(waiting).toHaveLength(2));
  waiting[1]?.(said({ ...checked, state: 'revoked' }));
  expect(await screen.findByTestId('verdict')).toHaveAttribute('data-state', 'revoked');
  waiting[0]?.(said(checked));
  await new Promise((later) => setTimeout(later));
  expect(screen.getByTestId('verdict')).toHaveAttribute('data-state', 'revoked');
});
