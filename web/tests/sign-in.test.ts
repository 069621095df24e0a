import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { setLanguage } from '../src/i18n/language.svelte';
import SignInForm from '../src/pages/sign-in/SignInForm.svelte';
import { waitText } from '../src/pages/sign-in/wait';
import { network, person, problem } from './network';

beforeEach(() => setLanguage('en'));
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const fill = async (user: ReturnType<typeof userEvent.setup>) => {
  await user.type(screen.getByLabelText('Login'), ' ildar ');
  await user.type(screen.getByLabelText('Password'), 'sec ret');
  await user.click(screen.getByRole('button', { name: 'Sign in' }));
};

describe('the sign-in form', () => {
  it('sends the login without stray spaces and the password as typed', async () => {
    const sent = network({ 'POST /api/v1/sign-in': { status: 201, body: person } });
    const signedIn = vi.fn();
    render(SignInForm, { onsignedin: signedIn });
    await fill(userEvent.setup());
    await vi.waitFor(() => expect(signedIn).toHaveBeenCalledOnce());
    expect(sent.map(({ body }) => body)).toEqual(['{"login":"ildar","password":"sec ret"}']);
  });

  it('names the missing field, marks it, and sends nothing', async () => {
    const sent = network({});
    render(SignInForm);
    await userEvent.click(screen.getByRole('button', { name: 'Sign in' }));
    const login = screen.getByLabelText('Login');
    expect(login).toHaveAccessibleDescription('Enter your login.');
    expect(login).toBeInvalid();
    expect(login).toHaveFocus();
    expect(sent).toEqual([]);
  });

  it('says that login or password is wrong and keeps what was typed', async () => {
    network({ 'POST /api/v1/sign-in': problem(401, 'wrong_login_or_password') });
    render(SignInForm);
    await fill(userEvent.setup());
    expect(await screen.findByRole('alert')).toHaveTextContent(
      'The login or the password is not right',
    );
    expect(screen.getByLabelText('Login')).toHaveValue(' ildar ');
    expect(screen.getByLabelText('Password')).toHaveFocus();
  });

  it('says that the server is away', async () => {
    network({ 'POST /api/v1/sign-in': { down: true } });
    render(SignInForm);
    await fill(userEvent.setup());
    expect(await screen.findByRole('alert')).toHaveTextContent('The server cannot be reached');
  });

  it('counts down after too many attempts and then lets the person try again', async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    network({
      'POST /api/v1/sign-in': {
        ...problem(429, 'too_many_attempts', { params: { retry_after_s: 45 } }),
        headers: { 'Retry-After': '45' },
      },
    });
    render(SignInForm);
    await fill(userEvent.setup({ advanceTimers: (ms) => vi.advanceTimersByTime(ms) }));
    expect(await screen.findByText('45 seconds left')).toBeInTheDocument();
    expect(screen.getByRole('button', { name: 'Sign in' })).toBeDisabled();
    await vi.advanceTimersByTimeAsync(44_000);
    expect(screen.getByText('1 second left')).toBeInTheDocument();
    await vi.advanceTimersByTimeAsync(1000);
    expect(screen.getByRole('button', { name: 'Sign in' })).toBeEnabled();
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('shows and hides the password', async () => {
    render(SignInForm);
    const password = screen.getByLabelText('Password');
    await userEvent.click(screen.getByRole('button', { name: 'Show' }));
    expect(password).toHaveAttribute('type', 'text');
    await userEvent.click(screen.getByRole('button', { name: 'Hide' }));
    expect(password).toHaveAttribute('type', 'password');
  });

  it('changes its language without losing what was typed', async () => {
    render(SignInForm);
    await userEvent.type(screen.getByLabelText('Login'), 'ildar');
    setLanguage('tt');
    expect(await screen.findByRole('button', { name: 'Керү' })).toBeInTheDocument();
    expect(screen.getByLabelText('Логин')).toHaveValue('ildar');
  });
});

it('tells a long wait in minutes', () => {
  expect([waitText(59), waitText(61)]).toEqual(['59 seconds left', '2 minutes left']);
});
