import { render, screen, waitFor, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import '../../src/i18n/notices';
import { setLanguage } from '../../src/i18n/language.svelte';
import { linkOf } from '../../src/notices/links';
import NoticesPage from '../../src/notices/NoticesPage.svelte';
import { noticeText } from '../../src/notices/text';
import { followUnread, unreadCount } from '../../src/notices/unread.svelte';
import { network, problem, type Reply } from '../network';

const VISIT = '0197aaaa-0000-7000-8000-000000000009';
const TARGET = '0197aaaa-0000-7000-8000-0000000000aa';

const notice = (n: number, more: object = {}): object => ({
  id: `0197aaaa-0000-7000-8000-00000000000${n}`,
  code: 'visit_booked_doctor',
  params: { at: '2026-03-02T09:30:00Z' },
  critical: false,
  about_id: VISIT,
  at: `2026-03-01T09:0${n}:00Z`,
  read_at: null,
  ...more,
});
const target = { id: TARGET, way: 'mail', address: 'r@example.org', active: true, told_at: null };
const ways = {
  ways: { targets: [], quiet_from: '22:00', quiet_until: '07:00', timezone: 'Europe/Moscow' },
  offers: { mail: true, sms: false, push_key: 'k' },
};
const server = (replies: Record<string, Reply | Reply[]> = {}) =>
  network({
    'GET /api/v1/notices': { body: { notices: [notice(2), notice(1)], more: false } },
    'GET /api/v1/notices/unread': { status: 401 },
    'GET /api/v1/notices/ways': { body: ways },
    ...replies,
  });

beforeEach(() => setLanguage('en'));

it('says a time by the local clock, and that there is something when it knows no words for it', () => {
  const local = new Date('2026-03-02T09:30:00Z');
  const clock = `${String(local.getHours()).padStart(2, '0')}:30`;
  expect(noticeText('visit_booked_doctor', { at: local.toISOString() }, local)).toContain(clock);
  expect(noticeText('visit_booked_doctor', { at: 'soon' }, local)).toContain('soon');
  expect(noticeText('from_the_future', {}, local)).toMatch(/there is news/i);
});

it('leads to what a notice is about, and nowhere when there is nothing', () => {
  expect(linkOf('visit_booked', VISIT)).toBe(`#/visits/${VISIT}`);
  expect(linkOf('visit_booked', null)).toBeNull();
  expect(linkOf('from_the_future', VISIT)).toBeNull();
});

describe('the count', () => {
  it('asks again with what it knows, and stops with its last follower and with the session', async () => {
    const asked: string[] = [];
    let answer: (found: object) => void = () => {};
    vi.stubGlobal('fetch', (request: Request) => {
      asked.push(new URL(request.url).search);
      return new Promise((done, failed) => {
        answer = (found) => done(new Response(JSON.stringify(found)));
        request.signal.addEventListener('abort', () => failed(new Error('aborted')));
      });
    });
    const stop = followUnread();
    const stopToo = followUnread();
    answer({ count: 3, newest_at: '2026-03-01T09:00:00Z' });
    await waitFor(() => expect(asked).toEqual(['', '?wait_s=15&known=3']));
    expect(unreadCount()).toBe(3);
    stop();
    stopToo();
    answer({ count: 0, newest_at: null });
    await Promise.resolve();
    expect([unreadCount(), asked.length]).toEqual([3, 2]);
  });

  it('does not ask on when the session is over', async () => {
    const sent = server();
    const stop = followUnread();
    await waitFor(() => expect(sent).toHaveLength(1));
    await new Promise((done) => setTimeout(done));
    expect(sent).toHaveLength(1);
    stop();
  });
});

describe('the page', () => {
  it('shows what is new and marks all that was shown as read', async () => {
    const sent = server({ 'POST /api/v1/notices/read': { status: 204 } });
    render(NoticesPage);
    expect(await screen.findAllByText('New')).toHaveLength(2);
    expect(screen.getByText('2 new')).toBeVisible();
    await userEvent.click(screen.getByRole('button', { name: 'Mark all as read' }));
    await waitFor(() => expect(screen.queryByText('New')).toBeNull());
    expect(screen.getByText('All read')).toBeVisible();
    const read = sent.find((one) => one.path === '/api/v1/notices/read');
    expect(JSON.parse(read!.body)).toEqual({ at: '2026-03-01T09:02:00Z' });
  });

  it('says what is wrong and loads again when asked', async () => {
    server({
      'GET /api/v1/notices': [problem(500, 'internal'), { body: { notices: [], more: false } }],
    });
    render(NoticesPage);
    const alert = await screen.findByRole('alert');
    await userEvent.click(within(alert).getByRole('button'));
    expect(await screen.findByText('No notices yet')).toBeVisible();
  });

  it('has an address proved by a code before it is used', async () => {
    const path = `/api/v1/notices/targets/${TARGET}/confirm`;
    const sent = server({
      'PUT /api/v1/notices/mail': { status: 202, body: { ...target, confirmed: false } },
      [`POST ${path}`]: [problem(422, 'wrong_code'), { body: { ...target, confirmed: true } }],
    });
    render(NoticesPage);
    await userEvent.type(await screen.findByLabelText('E-mail address'), 'r@example.org');
    await userEvent.click(screen.getAllByRole('button', { name: 'Send a code' })[0]!);
    await userEvent.type(await screen.findByLabelText('Code from the message'), '123456');
    await userEvent.click(screen.getByRole('button', { name: 'Confirm' }));
    expect(await screen.findByText(/code does not fit/i)).toBeVisible();
    await userEvent.click(screen.getByRole('button', { name: 'Confirm' }));
    expect(await screen.findByRole('radio', { name: 'Tell me' })).toBeChecked();
    expect(sent.filter((one) => one.path === path)).toHaveLength(2);
  });

  it('says that texts of this server go nowhere when they do', async () => {
    server();
    render(NoticesPage);
    expect(await screen.findByText(/no SMS set up/i)).toBeVisible();
    expect(screen.queryByText(/no mail set up/i)).toBeNull();
  });
});
