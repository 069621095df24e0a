import { api, ask } from '../api/client';
import type { NoticeTarget } from '../api/types';

export type PushTrouble = 'unsupported' | 'denied' | 'failed';

export function pushSupported(): boolean {
  return 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;
}

/** Tells the server of this browser; again after its keys may have changed. */
async function tell(subscription: PushSubscription): Promise<NoticeTarget> {
  const { endpoint, keys } = subscription.toJSON();
  const body = { endpoint: endpoint ?? '', p256dh: keys?.p256dh ?? '', auth: keys?.auth ?? '' };
  return ask(api.POST('/api/v1/notices/push', { body }));
}

/** This browser as the server knows it, when push is on here already. */
export async function pushHere(): Promise<NoticeTarget | null> {
  if (!pushSupported() || Notification.permission !== 'granted') return null;
  const registration = await navigator.serviceWorker.getRegistration('/');
  const subscription = await registration?.pushManager.getSubscription();
  return subscription ? tell(subscription) : null;
}

/** Asks the person's leave and switches push on; throws a `Problem` when the server refuses. */
export async function switchPushOn(serverKey: string): Promise<NoticeTarget | PushTrouble> {
  if (!pushSupported()) return 'unsupported';
  if ((await Notification.requestPermission()) !== 'granted') return 'denied';
  let subscription: PushSubscription;
  try {
    await navigator.serviceWorker.register('/sw.js');
    const registration = await navigator.serviceWorker.ready;
    subscription = await registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: serverKey,
    });
  } catch {
    return 'failed'; // The browser's own service is away, or there is none.
  }
  return tell(subscription);
}

/** Forgets push in this browser; the server is told by removing the target. */
export async function switchPushOff(): Promise<void> {
  const registration = await navigator.serviceWorker.getRegistration('/');
  const subscription = await registration?.pushManager.getSubscription();
  await subscription?.unsubscribe();
}
