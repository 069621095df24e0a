/** Small facts of this page in this browser. */

import type { JoinChoice } from '../call/devices';

/** A random UUID; also where pages from plain HTTP lack crypto.randomUUID. */
export function uuid4(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

type Place = 'visit' | 'lesson';
const joinedAt = (place: Place): string => `yanasha.${place}.joined`;

/** Remember how this tab joined a room, so that a reload goes straight back in. */
export function rememberJoin(place: Place, roomId: string, choice: JoinChoice | null): void {
  try {
    if (choice === null) sessionStorage.removeItem(joinedAt(place));
    else sessionStorage.setItem(joinedAt(place), `${roomId} ${choice}`);
  } catch {
    // Storage may be forbidden: then a reload asks again.
  }
}

export function rememberedJoin(place: Place, roomId: string): JoinChoice | null {
  try {
    const [id, choice] = sessionStorage.getItem(joinedAt(place))?.split(' ') ?? [];
    if (id !== roomId) return null;
    return choice === 'camera' || choice === 'audio' || choice === 'listen' ? choice : null;
  } catch {
    return null;
  }
}

/** Keeps the screen on while it is called; a phone would lock itself in the middle of a call. */
export function keepAwake(): () => void {
  let lock: WakeLockSentinel | null = null;
  let over = false;
  const ask = async (): Promise<void> => {
    if (over || document.visibilityState !== 'visible' || !('wakeLock' in navigator)) return;
    try {
      lock = await navigator.wakeLock.request('screen');
      if (over) await lock.release();
    } catch {
      // Saving battery is the device's right.
    }
  };
  const again = (): void => void ask();
  document.addEventListener('visibilitychange', again);
  again();
  return () => {
    over = true;
    document.removeEventListener('visibilitychange', again);
    void lock?.release();
  };
}
