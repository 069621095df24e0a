import { render, screen } from '@testing-library/svelte';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import '../../src/i18n/lesson';
import { t } from '../../src/i18n/t';
import DeviceTroubles from '../../src/lesson/DeviceTroubles.svelte';
import type { LessonRoom } from '../../src/lesson/room.svelte';

const speaks = (mimeType: string) => ({ getCapabilities: () => ({ codecs: [{ mimeType }] }) });
const call = { publishWord: 'none', subscribeWord: 'none', joined: false, trouble: {} };
const seenBy = (teacher: boolean) => ({ teacher, call, phase: 'open' }) as unknown as LessonRoom;

describe('a browser without H264', () => {
  beforeEach(() => {
    vi.stubGlobal('RTCRtpSender', speaks('video/VP8'));
    vi.stubGlobal('RTCRtpReceiver', speaks('video/VP8'));
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it.each([
    [true, 'lesson.trouble_no_h264'],
    [false, 'lesson.stage_no_h264'],
  ] as const)('gets a clear word (teacher: %s)', (teacher, key) => {
    render(DeviceTroubles, { room: seenBy(teacher) });
    expect(screen.getByText(t(key))).toBeInTheDocument();
  });

  it('is one that has it left in peace', () => {
    vi.stubGlobal('RTCRtpSender', speaks('video/H264'));
    render(DeviceTroubles, { room: seenBy(true) });
    expect(screen.queryByText(t('lesson.trouble_no_h264'))).toBeNull();
  });
});
