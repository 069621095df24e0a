import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { api, ask } from '../../src/api/client';
import { setLanguage } from '../../src/i18n/language.svelte';
import SignInForm from '../../src/pages/sign-in/SignInForm.svelte';
import { cardSecret, waysToProve } from '../../src/security/proof';
import ProofDialog from '../../src/security/ProofDialog.svelte';
import { askingProof, loadSession, proofEnded } from '../../src/session.svelte';
import { network, person, problem } from '../network';

const STALE = problem(403, 'step_up_needed');
const FACTORS = {
  login: 'ildar',
  password: true,
  card: false,
  totp: true,
  passkeys: [],
  recovery_codes_left: 10,
  required: false,
};

beforeEach(() => setLanguage('en'));
afterEach(() => {
  proofEnded(false);
  vi.unstubAllGlobals();
});

describe('something sensitive', () => {
  const begin = async (replies: Parameters<typeof network>[0]) => {
    const sent = network({ 'GET /api/v1/me': { body: person }, ...replies });
    await loadSession();
    return { sent, answer: ask(api.POST('/api/v1/factors/totp')) };
  };

  it('asks for a proof, once for all that wait, and is then sent again', async () => {
    const made = { status: 201, body: { secret: 'S', uri: 'otpauth://' } };
    const { sent, answer } = await begin({
      'POST /api/v1/factors/totp': [STALE, STALE, made],
    });
    const other = ask(api.POST('/api/v1/factors/totp'));
    await vi.waitFor(() => expect(sent.length).toBe(3));
    await vi.waitFor(() => expect(askingProof()).toBe(true));
    proofEnded(true);
    expect((await answer).secret).toBe('S');
    expect((await other).secret).toBe('S');
    expect(sent.filter((one) => one.path.endsWith('/totp')).length).toBe(4);
  });

  it('is refused when no proof is given', async () => {
    const { answer } = await begin({ 'POST /api/v1/factors/totp': STALE });
    await vi.waitFor(() => expect(askingProof()).toBe(true));
    proofEnded(false);
    await expect(answer).rejects.toMatchObject({ code: 'step_up_needed' });
  });

  it('that is simply forbidden asks for no proof', async () => {
    const { answer } = await begin({ 'POST /api/v1/factors/totp': problem(403, 'forbidden') });
    await expect(answer).rejects.toMatchObject({ code: 'forbidden' });
    expect(askingProof()).toBe(false);
  });
});

describe('the dialog that asks for a proof', () => {
  it('takes the password, says when it does not fit, and ends when it does', async () => {
    const sent = network({
      'GET /api/v1/factors': { body: FACTORS },
      'POST /api/v1/step-up': [problem(403, 'wrong_proof'), { status: 204 }],
    });
    const onend = vi.fn();
    const user = userEvent.setup();
    render(ProofDialog, { onend });
    const go = await screen.findByRole('button', { name: 'Confirm' });
    await user.click(go);
    expect(screen.getByLabelText('Password')).toBeInvalid();
    await user.type(screen.getByLabelText('Password'), 'secret');
    await user.click(go);
    expect(await screen.findByText('That does not fit. Check it and try again.')).toBeVisible();
    await user.click(go);
    await vi.waitFor(() => expect(onend).toHaveBeenCalledExactlyOnceWith(true));
    expect(sent.at(-1)?.body).toBe('{"proof":{"way":"password","password":"secret"}}');
  });

  it('lets the person turn to another way', async () => {
    const sent = network({
      'GET /api/v1/factors': { body: FACTORS },
      'POST /api/v1/step-up': { status: 204 },
    });
    const user = userEvent.setup();
    render(ProofDialog, { onend: vi.fn() });
    await user.click(await screen.findByRole('button', { name: 'Six digits from the app' }));
    await user.type(screen.getByLabelText('Six digits from the app'), '123456');
    await user.click(screen.getByRole('button', { name: 'Confirm' }));
    await vi.waitFor(() =>
      expect(sent.at(-1)?.body).toBe('{"proof":{"way":"totp","code":"123456"}}'),
    );
  });

  it('tells who came by a link to sign in again, and asks for nothing they do not have', async () => {
    const none = { ...FACTORS, login: null, password: false, totp: false };
    network({
      'GET /api/v1/factors': { body: none },
      'POST /api/v1/sign-out': { status: 204 },
    });
    const onend = vi.fn();
    render(ProofDialog, { onend });
    const again = await screen.findByRole('button', { name: 'Sign in again' });
    expect(screen.getByText(/your clinic or school will give you a new one/)).toBeVisible();
    expect(screen.queryByRole('textbox')).toBeNull();
    await userEvent.click(again);
    await vi.waitFor(() => expect(onend).toHaveBeenCalledExactlyOnceWith(false));
  });

  it('asks for the card of who has one, its address or its secret', () => {
    const none = { ...FACTORS, login: null, password: false, totp: false };
    expect(waysToProve(none, true)).toEqual([]);
    expect(waysToProve({ ...none, card: true }, true)).toEqual(['card']);
    expect(waysToProve(FACTORS, true)).toEqual(['password', 'totp']);
    expect(cardSecret(' https://clinic.example/#/enter/AbC-1 ')).toBe('AbC-1');
    expect(cardSecret('AbC-1')).toBe('AbC-1');
  });
});

describe('the second step', () => {
  it('follows a right password, and begins anew when it took too long', async () => {
    const step = {
      second_step: 'token',
      ways: ['totp', 'recovery_code'],
      expires_at: '2026-03-02T09:05:00Z',
    };
    const sent = network({
      'POST /api/v1/sign-in': { status: 201, body: step },
      'POST /api/v1/sign-in/second-step': [
        problem(403, 'wrong_proof'),
        problem(401, 'second_step_over'),
      ],
    });
    const user = userEvent.setup();
    render(SignInForm);
    await user.type(screen.getByLabelText('Login'), 'ildar');
    await user.type(screen.getByLabelText('Password'), 'secret');
    await user.click(screen.getByRole('button', { name: 'Sign in' }));
    await user.type(await screen.findByLabelText('Six digits from the app'), '000000');
    await user.click(screen.getByRole('button', { name: 'Sign in' }));
    expect(await screen.findByText('That does not fit. Check it and try again.')).toBeVisible();
    await user.click(screen.getByRole('button', { name: 'Sign in' }));
    expect(await screen.findByLabelText('Password')).toHaveValue('');
    expect(sent.at(-1)?.body).toBe(
      '{"second_step":"token","proof":{"way":"totp","code":"000000"}}',
    );
  });
});
