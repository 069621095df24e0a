/** What the page of devices asks of the API. */

import { api, ask } from '../api/client';
import type { components } from '../api/schema';
import type { DeviceReading } from './gatt/to-measurement';
import type { Answer } from './sending';

export type Device = components['schemas']['Device'];
export type AddedDevice = components['schemas']['AddedDevice'];
export type AddedKind = components['schemas']['NewHomeDevice']['kinds'][number];

const PATIENCE_MS = 20_000;

export const listDevices = (): Promise<Device[]> => ask(api.GET('/api/v1/devices'));

export const addDevice = (name: string, kinds: readonly AddedKind[]): Promise<AddedDevice> =>
  ask(api.POST('/api/v1/devices', { body: { name, kinds: [...kinds] } }));

export const removeDevice = (id: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/devices/{device_id}', { params: { path: { device_id: id } } }));

/** By the device's token, not by the session: what was measured goes through when that has ended. */
export async function postReadings(
  token: string,
  readings: readonly DeviceReading[],
): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch('/api/v1/readings', {
      method: 'POST',
      credentials: 'omit',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ readings }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    return { is: 'silent', left: navigator.onLine };
  }
  const wait = response.headers.get('Retry-After');
  const retryAfterS = wait !== null && /^\d+$/.test(wait) ? Number(wait) : null;
  const body: unknown = await response.json().catch(() => null);
  return { is: 'answered', status: response.status, body, retryAfterS };
}
