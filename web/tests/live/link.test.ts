// @vitest-environment node
import { describe, expect, it } from 'vitest';
import {
  ATTEMPT_WITHIN_MS,
  PING_EVERY_MS,
  PONG_WITHIN_MS,
  PROBE_WITHIN_MS,
  SILENT_WITHIN_MS,
  SLEPT_MS,
  backoffMs,
  initialLink,
  step,
  type LinkEffect,
  type LinkEvent,
  type LinkState,
} from '../../src/live/link';

/** Drives the machine by hand: events, and ticks twice a second as the socket gives them. */
class Driver {
  state: LinkState = initialLink;
  now = 1_000_000;
  effects: LinkEffect['type'][] = [];

  on(...events: LinkEvent[]): this {
    for (const event of events) {
      const [state, effects] = step(this.state, event, this.now, 0.5);
      this.state = state;
      this.effects.push(...effects.map(({ type }) => type));
    }
    return this;
  }

  open(): this {
    return this.on(
      { type: 'start' },
      { type: 'ticket', ticket: 't' },
      { type: 'opened' },
      { type: 'welcome' },
    );
  }

  /** Lets time pass; answers how much until `done`, or all of it. */
  pass(ms: number, done: () => boolean = () => false): number {
    const from = this.now;
    while (this.now - from < ms && !done()) {
      this.now += 500;
      this.on({ type: 'tick' });
    }
    return this.now - from;
  }

  taken(): LinkEffect['type'][] {
    return this.effects.splice(0);
  }
}

const opened = () => {
  const driver = new Driver().open();
  driver.taken();
  return driver;
};

describe('the visit link', () => {
  it('opens by ticket, socket, hello and welcome', () => {
    const driver = new Driver().open();
    expect(driver.taken()).toEqual(['fetch_ticket', 'connect', 'hello']);
    expect(driver.state.phase).toBe('open');
  });

  it('finds a dead link within ten seconds', () => {
    const driver = opened();
    const ms = driver.pass(60_000, () => driver.state.phase !== 'open');
    expect(driver.state.phase).toBe('ticket');
    expect(ms).toBeLessThanOrEqual(10_000);
    expect(ms).toBeGreaterThanOrEqual(PING_EVERY_MS + PONG_WITHIN_MS);
  });

  it('finds it within two seconds where no media come either, and asks nobody who has answered', () => {
    for (const before of [0, 3_500]) {
      const driver = opened();
      driver.pass(before);
      driver.on({ type: 'silent' });
      expect(driver.taken()).toEqual(['ping']);
      const ms = driver.pass(60_000, () => driver.state.phase !== 'open');
      expect(ms).toBeLessThanOrEqual(SILENT_WITHIN_MS + 500);
      expect(driver.taken()).toEqual(['drop', 'fetch_ticket']);
    }
    const well = opened().on({ type: 'silent' }, { type: 'heard' });
    well.pass(2_500);
    expect(well.state.phase).toBe('open');
    const away = opened().on({ type: 'closed', code: 1006 }, { type: 'silent' });
    expect(away.state.phase).toBe('waiting');
  });

  it('stays open while anything is heard', () => {
    const driver = opened();
    for (let i = 0; i < 60; i += 1) {
      driver.pass(1_000);
      driver.on({ type: 'heard' });
    }
    expect(driver.state.phase).toBe('open');
  });

  it('tries again for ever, never more than five seconds apart', () => {
    const driver = opened().on({ type: 'closed', code: 1006 });
    for (let i = 0; i < 50; i += 1) {
      expect(driver.pass(60_000, () => driver.state.phase === 'ticket')).toBeLessThanOrEqual(5_500);
      driver.on({ type: 'ticket_failed' });
      expect(driver.state.phase).toBe('waiting');
    }
  });

  it('waits as long as the server asks', () => {
    const driver = opened().on({ type: 'closed', code: 1013 });
    driver.pass(10_000, () => driver.state.phase === 'ticket');
    driver.on({ type: 'ticket_failed', retryAfterMs: 9_000 });
    expect(driver.pass(60_000, () => driver.state.phase === 'ticket')).toBeGreaterThanOrEqual(
      9_000,
    );
  });

  it('gives up an attempt that hangs, and tries again', () => {
    const driver = new Driver().on({ type: 'start' }, { type: 'ticket', ticket: 't' });
    driver.taken();
    const ms = driver.pass(60_000, () => driver.state.phase === 'ticket');
    expect(ms).toBeLessThanOrEqual(ATTEMPT_WITHIN_MS + 1_000);
    expect(driver.taken()).toEqual(['drop', 'fetch_ticket']);
  });

  it('is back within five seconds of a dead line’s return, and patient with a slow one', () => {
    const driver = opened().on({ type: 'closed', code: 1006 });
    for (const patient of [false, false, false, true, true]) {
      expect(driver.pass(60_000, () => driver.state.phase === 'ticket')).toBeLessThanOrEqual(3_500);
      const ms = driver.pass(60_000, () => driver.state.phase === 'waiting');
      expect(ms > 7_500).toBe(patient);
    }
  });

  it('comes back at once when a lid was closed for 30 s', () => {
    const driver = opened();
    driver.pass(1_000);
    driver.now += 30_000;
    driver.taken();
    driver.on({ type: 'tick' });
    expect(driver.taken()).toEqual(['ping']);
    const ms = driver.pass(60_000, () => driver.state.phase !== 'open');
    expect(ms).toBeLessThanOrEqual(PROBE_WITHIN_MS + 500);
  });

  it('asks for a new ticket at once when the lid opens on a link known to be lost', () => {
    const driver = opened().on({ type: 'closed', code: 1006 });
    driver.on({ type: 'ticket_failed' });
    driver.taken();
    driver.state = { ...driver.state, tickAt: driver.now, retryAt: driver.now + 60_000 };
    driver.now += SLEPT_MS + 1;
    driver.on({ type: 'tick' });
    expect(driver.taken()).toEqual(['fetch_ticket']);
  });

  it('looks at once when the network comes back', () => {
    const driver = opened().on({ type: 'closed', code: 1006 }, { type: 'wake' });
    expect(driver.taken()).toEqual(['drop', 'fetch_ticket']);
  });

  it('rests when another tab took the visit, until it is taken back', () => {
    const driver = opened().on({ type: 'closed', code: 4409 });
    driver.pass(60_000);
    expect(driver.state.phase).toBe('replaced');
    driver.taken();
    driver.on({ type: 'wake' });
    expect(driver.taken()).toEqual([]);
    driver.on({ type: 'take_back' });
    expect(driver.taken()).toEqual(['fetch_ticket']);
  });

  it('tells an ended session from a stale ticket by asking for a new one', () => {
    const driver = opened().on({ type: 'closed', code: 4401 });
    expect(driver.taken()).toEqual(['drop', 'fetch_ticket']);
    driver.on({ type: 'ticket_refused', status: 401 });
    expect(driver.state.phase).toBe('expired');
    driver.pass(60_000);
    expect(driver.taken()).toEqual([]);
    driver.on({ type: 'signed_in' });
    expect(driver.taken()).toEqual(['fetch_ticket']);
  });

  it('does not run in a circle when tickets are taken but never good', () => {
    const driver = opened();
    for (let turn = 0; turn < 3; turn += 1) {
      driver.on(
        { type: 'closed', code: 4401 },
        { type: 'ticket', ticket: 't' },
        { type: 'opened' },
      );
    }
    expect(driver.state.phase).toBe('waiting');
  });

  it.each([4403, 4404])('rests for good after close code %i', (code) => {
    const driver = opened().on({ type: 'closed', code });
    driver.pass(60_000);
    expect(driver.state.phase).toBe('refused');
  });

  it('ends at once when the server says that the session is over', () => {
    const driver = opened().on({ type: 'signed_out' }, { type: 'closed', code: 1000 });
    expect(driver.state.phase).toBe('expired');
    expect(driver.taken()).toEqual(['drop']);
  });

  it('keeps quiet after stop', () => {
    const driver = opened().on({ type: 'stop' }, { type: 'closed', code: 1000 });
    driver.taken();
    driver.pass(60_000);
    expect(driver.taken()).toEqual([]);
  });
});

describe('back-off', () => {
  it('doubles to three seconds with half of it as jitter', () => {
    expect([1, 2, 3, 4, 5, 50].map((tries) => backoffMs(tries, 1))).toEqual([
      400, 800, 1_600, 3_000, 3_000, 3_000,
    ]);
    expect(backoffMs(5, 0)).toBe(1_500);
  });
});
