import type { Component } from 'svelte';
import type { LaterPage } from '../router';

/** What such a page is given; a page takes of it what it needs. */
type Later = Component<{ id: string; section: string }>;

const PAGES: Readonly<Record<LaterPage, () => Promise<{ default: unknown }>>> = {
  family: () => import('../family/FamilyPage.svelte'),
  children: () => import('../family/ChildPage.svelte'),
  security: () => import('../security/SecurityPage.svelte'),
  enter: () => import('../enter/EnterPage.svelte'),
  consents: () => import('../consents/ConsentsPage.svelte'),
  share: () => import('../share/SharePage.svelte'),
  scan: () => import('../share/ScanPage.svelte'),
  devices: () => import('../devices/DevicesPage.svelte'),
  imports: () => import('../devices/ImportPage.svelte'),
  looked: () => import('../looked/LookedPage.svelte'),
  notices: () => import('../notices/NoticesPage.svelte'),
  records: () => import('../records/RecordPage.svelte'),
  documents: () => import('../documents/DocumentsPage.svelte'),
  'visit-documents': () => import('../documents/VisitDocumentsPage.svelte'),
  received: () => import('../documents/ReceivedPage.svelte'),
  verify: () => import('../verify/VerifyPage.svelte'),
  admin: () => import('../admin/AdminPage.svelte'),
};

/** Fetches a page that comes when it is first entered. */
export async function loadLater(page: LaterPage): Promise<Later> {
  return (await PAGES[page]()).default as Later;
}

export function isLaterPage(page: string): page is LaterPage {
  return Object.hasOwn(PAGES, page);
}
