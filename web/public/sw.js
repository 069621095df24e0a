// Push only: nothing is cached and no request is touched, so a page is never older than its server.
// A push says that something waits; what it is, the page tells who is signed in.

self.addEventListener('install', () => {
  void self.skipWaiting();
});

self.addEventListener('push', (event) => {
  let said = {};
  try {
    said = event.data?.json() ?? {};
  } catch {
    // Whatever it was: that something waits is true.
  }
  event.waitUntil(
    self.registration.showNotification(said.title ?? 'Янәшә', {
      body: said.body ?? '',
      lang: said.language ?? 'ru',
      icon: '/mark.svg',
      tag: 'notices',
      renotify: true,
    }),
  );
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(openNotices());
});

async function openNotices() {
  const open = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const ours = open.find((client) => new URL(client.url).origin === self.location.origin);
  // A page in the middle of a visit must not be led away: it is only brought to the front.
  if (ours) return ours.focus();
  return self.clients.openWindow('/#/notices');
}
