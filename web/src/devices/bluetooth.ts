/** Web Bluetooth as a source of devices. TypeScript's own library does not know it. */

import type { KindRow } from './kinds';
import type { Found, Link, Source } from './source';

interface Characteristic extends EventTarget {
  readonly uuid: string;
  readonly value?: DataView;
  readValue(): Promise<DataView>;
  writeValueWithResponse(data: BufferSource): Promise<void>;
  startNotifications(): Promise<unknown>;
}

interface Service {
  getCharacteristics(): Promise<Characteristic[]>;
  getCharacteristic(uuid: number): Promise<Characteristic>;
}

interface Server {
  readonly connected: boolean;
  connect(): Promise<Server>;
  disconnect(): void;
  getPrimaryService(uuid: number): Promise<Service>;
}

interface Device extends EventTarget {
  readonly id: string;
  readonly name?: string;
  readonly gatt?: Server;
}

interface Bluetooth {
  requestDevice(asked: {
    filters: { services: number[] }[];
    optionalServices: number[];
  }): Promise<Device>;
  getDevices?(): Promise<Device[]>;
}

const DEVICE_INFORMATION = 0x180a;
const MODEL_NUMBER = 0x2a24;
/** A meter that was switched off meanwhile must not hold the page. */
const CONNECT_MS = 30_000;

const bytesOf = (view: DataView): Uint8Array =>
  new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

/** The short number of an adopted characteristic: `00002a35-0000-…` is 0x2A35. */
const shortOf = (uuid: string): number =>
  uuid.endsWith('-0000-1000-8000-00805f9b34fb') ? parseInt(uuid.slice(0, 8), 16) : 0;

async function modelOf(server: Server): Promise<string> {
  try {
    const service = await server.getPrimaryService(DEVICE_INFORMATION);
    const told = await (await service.getCharacteristic(MODEL_NUMBER)).readValue();
    return new TextDecoder().decode(bytesOf(told)).replaceAll('\0', '').trim().slice(0, 80);
  } catch {
    return ''; // Not every device tells.
  }
}

async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error('too slow')), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function connect(device: Device, row: KindRow): Promise<Link> {
  const { gatt } = device;
  if (gatt === undefined) throw new Error('no GATT');
  const ended = new Promise<void>((done) => {
    device.addEventListener('gattserverdisconnected', () => done(), { once: true });
  });
  const begin = async () => {
    const server = await gatt.connect();
    const model = await modelOf(server);
    const service = await server.getPrimaryService(row.service);
    return { model, characteristics: await service.getCharacteristics() };
  };
  let begun: Awaited<ReturnType<typeof begin>>;
  try {
    begun = await within(begin(), CONNECT_MS);
  } catch (error) {
    gatt.disconnect();
    throw error;
  }
  const found = new Map(begun.characteristics.map((each) => [shortOf(each.uuid), each]));
  const take = (characteristic: number): Characteristic => {
    const one = found.get(characteristic);
    if (one === undefined) throw new Error(`no ${characteristic.toString(16)}`);
    return one;
  };
  return {
    model: begun.model === '' ? (device.name ?? '') : begun.model,
    has: (characteristic) => found.has(characteristic),
    read: async (characteristic) => bytesOf(await take(characteristic).readValue()),
    write: (characteristic, data) =>
      take(characteristic).writeValueWithResponse(data as Uint8Array<ArrayBuffer>),
    listen: async (characteristic, heard) => {
      const one = take(characteristic);
      one.addEventListener('characteristicvaluechanged', () => {
        if (one.value !== undefined) heard(bytesOf(one.value));
      });
      await one.startNotifications();
    },
    ended,
    close: () => gatt.disconnect(),
  };
}

const foundOf = (device: Device): Found => ({
  id: device.id,
  name: device.name ?? '',
  connect: (row) => connect(device, row),
});

/** The person closed the list of devices; a computer without a radio says the same name. */
function closed(error: unknown): boolean {
  const { name, message } = error as { name?: unknown; message?: unknown };
  return name === 'NotFoundError' && !/adapter/i.test(String(message));
}

/** The browser's Bluetooth; null where it has none. */
export function bluetooth(): Source | null {
  const radio = (navigator as { bluetooth?: Bluetooth }).bluetooth;
  if (radio === undefined) return null;
  return {
    choose: async ({ service }) => {
      try {
        const filters = [{ services: [service] }];
        const optionalServices = [DEVICE_INFORMATION];
        return foundOf(await radio.requestDevice({ filters, optionalServices }));
      } catch (error) {
        if (closed(error)) return null;
        throw error;
      }
    },
    known: async (id) => {
      const devices = (await radio.getDevices?.()) ?? [];
      const device = devices.find((each) => each.id === id);
      return device === undefined ? null : foundOf(device);
    },
  };
}
