import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import '../../src/i18n/enter';
import { bornOn } from '../../src/enter/born';
import EnterPage from '../../src/enter/EnterPage.svelte';
import { keep, keptSecret, secretIn } from '../../src/enter/kept';
import OtherWays from '../../src/enter/OtherWays.svelte';
import { setLanguage } from '../../src/i18n/language.svelte';
import { followAddress, replace } from '../../src/place.svelte';
import { signedIn, signOut } from '../../src/session.svelte';
import { network, person, problem } from '../network';

const SECRET = 'k3_Fz-9aQwErTyUiOpAsDfGhJkL';

beforeEach(() => {
  setLanguage('en');
  keep('');
  history.replaceState(null, '', '#/enter/here');
});
afterEach(() => vi.unstubAllGlobals());

describe('a date of birth as people write it', () => {
  const today = new Date(2026, 2, 2);

  it.each([
    ['17.05.1988', '1988-05-17'],
    ['17/5/1988', '1988-05-17'],
    [' 1-1-2020 ', '2020-01-01'],
    ['17051988', '1988-05-17'],
    ['29.02.2024', '2024-02-29'],
  ])('reads %s', (typed, iso) => expect(bornOn(typed, today)).toBe(iso));

  it.each(['', '31.02.1988', '29.02.2023', '1988-05-17', '17.05.88', '03.03.2026', '1.1.1850'])(
    'does not take %s',
    (typed) => expect(bornOn(typed, today)).toBeNull(),
  );
});

describe('what a QR says', () => {
  it('is a secret only from our own address', () => {
    expect(secretIn(`${location.origin}/#/enter/${SECRET}`)).toBe(SECRET);
    expect(secretIn(`https://evil.example.org/#/enter/${SECRET}`)).toBeNull();
    expect(secretIn(`${location.origin}/#/enter/short`)).toBeNull();
    expect(secretIn(`${location.origin}/#/visits/${SECRET}`)).toBeNull();
    expect(secretIn('WIFI:S:home;;')).toBeNull();
  });
});

const enter = async (): Promise<ReturnType<typeof userEvent.setup>> => {
  const user = userEvent.setup();
  keep(SECRET);
  render(EnterPage, { id: 'here' });
  await user.click(screen.getByRole('button', { name: 'Enter' }));
  return user;
};

describe('the page behind a card', () => {
  it('takes the secret out of the address at once', () => {
    history.replaceState(null, '', `#/enter/${SECRET}`);
    render(EnterPage, { id: SECRET });
    expect(location.hash).toBe('#/enter/here');
    expect(keptSecret()).toBe(SECRET);
  });

  it('enters with the card alone where that is enough, and forgets the secret', async () => {
    const sent = network({ 'POST /api/v1/enter': { status: 201, body: person } });
    await enter();
    await vi.waitFor(() => expect(location.hash).toBe('#/day'));
    expect(sent.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      { secret: SECRET, born_on: null },
    ]);
    expect(keptSecret()).toBe('');
  });

  it('asks for the date of birth, says how many tries are left, and enters', async () => {
    const sent = network({
      'POST /api/v1/enter': [
        problem(403, 'birth_date_needed', { params: { tries_left: 5 } }),
        problem(403, 'wrong_birth_date', { params: { tries_left: 1 } }),
        { status: 201, body: person },
      ],
    });
    const user = await enter();
    const field = await screen.findByLabelText('Date of birth');
    await vi.waitFor(() => expect(field).toHaveFocus());
    await user.type(field, '31.02.1988{Enter}');
    expect(field).toHaveAccessibleDescription(/There is no such date/);
    expect(sent).toHaveLength(1);
    await user.clear(field);
    await user.type(field, '17.05.1989{Enter}');
    await vi.waitFor(() => expect(field).toHaveAccessibleDescription(/1 try is left/));
    await user.clear(field);
    await user.type(field, '17.05.1988{Enter}');
    await vi.waitFor(() => expect(location.hash).toBe('#/day'));
    expect(JSON.parse(sent[2]?.body ?? '')).toEqual({ secret: SECRET, born_on: '1988-05-17' });
  });

  it('says that a card does not work and offers help, but no second try', async () => {
    network({ 'POST /api/v1/enter': problem(404, 'card_refused') });
    await enter();
    expect(await screen.findByRole('alert')).toHaveTextContent('This card or link does not work');
    expect(screen.queryByRole('button', { name: 'Enter' })).toBeNull();
    expect(screen.getByRole('button', { name: 'Ask for help' })).toBeInTheDocument();
  });

  it('leads staff to their password', async () => {
    network({ 'POST /api/v1/enter': problem(403, 'staff_need_password') });
    await enter();
    expect(await screen.findByRole('link', { name: 'Sign in with a password' })).toHaveAttribute(
      'href',
      '#/sign-in',
    );
  });

  it('lets staff choose a password by a link, and says what is wrong with a bad one', async () => {
    const sent = network({
      'POST /api/v1/enter': problem(403, 'new_password_needed', { params: { login: 'amina' } }),
      'POST /api/v1/enter/password': [
        problem(422, 'weak_password', {
          errors: [{ field: 'password', code: 'password_common', params: {} }],
        }),
        { status: 204 },
      ],
    });
    const user = await enter();
    expect(await screen.findByText('Your login: amina')).toBeInTheDocument();
    const field = screen.getByLabelText('Password');
    await user.type(field, 'password123{Enter}');
    await vi.waitFor(() =>
      expect(field).toHaveAccessibleDescription(/Everybody knows this password/),
    );
    await user.clear(field);
    await user.type(field, 'four green trams{Enter}');
    expect(await screen.findByText('The password is saved. Sign in with it.')).toBeInTheDocument();
    expect(JSON.parse(sent.at(-1)?.body ?? '')).toEqual({
      secret: SECRET,
      password: 'four green trams',
      login: null,
    });
  });

  it('asks for help and says the same whoever that is', async () => {
    const sent = network({ 'POST /api/v1/recover': { status: 202, body: null } });
    const user = userEvent.setup();
    render(EnterPage, { id: 'here' });
    await user.click(screen.getByRole('button', { name: 'Ask for help' }));
    expect(screen.getByLabelText('Login or card number')).toHaveFocus();
    expect(sent).toEqual([]);
    await user.type(screen.getByLabelText('Login or card number'), ' 4837 2951 6024 {Enter}');
    expect(await screen.findByText(/Your request has been taken/)).toBeInTheDocument();
    expect(sent[0]?.body).toBe('{"login_or_number":"4837 2951 6024"}');
  });
});

describe('coming back from the other service', () => {
  const comeBack = (): (() => void) => {
    const stop = followAddress();
    replace('#/enter/oidc?code=a-code&state=a-state');
    render(EnterPage, { id: 'oidc' });
    return stop;
  };
  const said = '{"code":"a-code","state":"a-state"}';

  it('links to whoever is signed in', async () => {
    const sent = network({ 'POST /api/v1/identities': { status: 204 } });
    await signedIn({ ...person, enrolment_needed: false, language: 'en', roles: [] });
    const stop = comeBack();
    expect(await screen.findByText(/The account is linked/)).toBeInTheDocument();
    expect(sent.map(({ body }) => body)).toEqual([said]);
    stop();
  });

  it('signs in where nobody is, and takes code and state out of the address', async () => {
    const sent = network({
      'POST /api/v1/sign-out': { status: 204 },
      'POST /api/v1/oidc/finish': problem(403, 'identity_refused'),
    });
    await signOut();
    const stop = comeBack();
    expect(await screen.findByRole('alert')).toHaveTextContent('If the account is not linked yet');
    expect(location.hash).toBe('#/enter/oidc');
    expect(sent.at(-1)?.body).toBe(said);
    stop();
  });
});

describe('other ways in', () => {
  it('shows the button of the other service only where there is one', async () => {
    network({ 'GET /api/v1/sign-in/ways': { body: { outside: null } } });
    const { unmount } = render(OtherWays);
    expect(screen.getByRole('link', { name: 'Enter with a QR card' })).toBeInTheDocument();
    expect(screen.queryByRole('button')).toBeNull();
    unmount();
    network({ 'GET /api/v1/sign-in/ways': { body: { outside: 'id.example.org' } } });
    render(OtherWays);
    const button = await screen.findByRole('button', { name: 'Sign in through id.example.org' });
    expect(button).toBeInTheDocument();
  });
});
