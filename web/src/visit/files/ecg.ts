/** ECG files: looked at first, kept when somebody says so, then seen strip by strip. */

import { api, ask } from '../../api/client';
import type { components } from '../../api/schema';
import { sendFile, type Sending } from '../../api/sending';
import type { VisitFile } from '../../api/types';
import { formatMoment } from '../../i18n/dates';
import { formatNumber } from '../../i18n/numbers';
import { t } from '../../i18n/t';
import '../../i18n/files';

export type EcgSeen = components['schemas']['EcgFilePreview'];
export type RecordEcgFile = components['schemas']['RecordEcgFile'];

export const SPEEDS = ['12.5', '25', '50'] as const;
export const GAINS = ['5', '10', '20'] as const;
export type Speed = (typeof SPEEDS)[number];
export type Gain = (typeof GAINS)[number];

/** What of a recording is asked for. */
export interface Window {
  fromS: number;
  speed: Speed;
  gain: Gain;
}

export const BEGINNING: Window = { fromS: 0, speed: '25', gain: '10' };
const ROW_MM = 250;

/** One row of paper is so long. */
export const secondsOf = (speed: Speed): number => ROW_MM / Number(speed);

const FORMATS: Record<EcgSeen['format'], string> = {
  wfdb: 'WFDB',
  edf: 'EDF, EDF+',
  dicom: 'DICOM',
  aecg: 'HL7 aECG',
  scp: 'SCP-ECG',
  atc: 'AliveCor ATC',
  apple: 'Apple Watch',
};

/** A kept file: in a visit, or in the record of a person. */
export interface Kept {
  of: 'visits' | 'records';
  whose: string;
  fileId: string;
}

export const ecgUrl = ({ of, whose, fileId }: Kept): string =>
  `/api/v1/${of}/${whose}/ecg-files/${fileId}`;

const query = ({ fromS, speed, gain }: Window) => ({
  from_s: fromS,
  seconds: secondsOf(speed),
  speed_mm_s: speed,
  gain_mm_mv: gain,
});

export const printUrl = (kept: Kept, window: Window): string =>
  `${ecgUrl(kept)}/print?${new URLSearchParams(
    Object.entries(query(window)).map(([name, value]) => [name, String(value)]),
  )}`;

/** Tells what is in a file; nothing of it is kept. */
export const lookAtEcg = (visitId: string, file: File): Promise<EcgSeen> =>
  ask(
    api.POST('/api/v1/visits/{visit_id}/ecg-files', {
      params: { path: { visit_id: visitId } },
      // Bytes, whatever the schema calls them.
      body: file as unknown as string,
      bodySerializer: (body: unknown) => body as Blob,
      headers: { 'Content-Type': 'application/octet-stream' },
    }),
  );

export function loadEcg({ of, whose, fileId }: Kept, window: Window): Promise<EcgSeen> {
  if (of === 'visits') {
    const path = { visit_id: whose, file_id: fileId };
    const params = { path, query: query(window) };
    return ask(api.GET('/api/v1/visits/{visit_id}/ecg-files/{file_id}', { params }));
  }
  const path = { person_id: whose, file_id: fileId };
  const params = { path, query: query(window) };
  return ask(api.GET('/api/v1/records/{person_id}/ecg-files/{file_id}', { params }));
}

export const loadRecordEcg = (personId: string): Promise<RecordEcgFile[]> =>
  ask(
    api.GET('/api/v1/records/{person_id}/ecg-files', { params: { path: { person_id: personId } } }),
  );

/** Keeps the file that was looked at; the id is the page's, as for any file. */
export function keepEcg(
  visitId: string,
  fileId: string,
  file: File,
  sha256: string,
): Sending<VisitFile> {
  const said = new URLSearchParams({ name: file.name, sha256 });
  const url = `${ecgUrl({ of: 'visits', whose: visitId, fileId })}?${said}`;
  return sendFile<VisitFile>(url, 'application/octet-stream', file, () => undefined);
}

const lengthText = (seconds: number): string =>
  seconds < 60
    ? t('files.ecg_seconds', { seconds: formatNumber(seconds, undefined, 1) })
    : t('files.ecg_minutes', {
        minutes: formatNumber(Math.floor(Math.round(seconds) / 60)),
        seconds: Math.round(seconds) % 60,
      });

function beganText(seen: EcgSeen, now: Date): string {
  if (seen.started_at === null) return t('files.ecg_began_unknown');
  // Without a zone it is read as the clock on this wall, and shown so.
  const at = formatMoment(new Date(seen.started_at), now);
  return seen.zoned ? at : t('files.ecg_began_by_recorder', { at });
}

/** What a file says of itself, in words: a name and what it is. */
export function factsOf(seen: EcgSeen, now: Date): { name: string; said: string }[] {
  const missing = seen.leads
    .filter((lead) => lead.missing > 0)
    .map((lead) =>
      t('files.ecg_missing_of', {
        lead: lead.name,
        percent: formatNumber(Math.max(0.1, lead.missing * 100), undefined, 1),
      }),
    );
  const facts = [
    { name: t('files.ecg_format'), said: FORMATS[seen.format] },
    { name: t('files.ecg_leads'), said: seen.leads.map((lead) => lead.name).join(', ') },
    {
      name: t('files.ecg_rate'),
      said: t('files.ecg_rate_hz', { rate: formatNumber(seen.rate_hz) }),
    },
    { name: t('files.ecg_length'), said: lengthText(seen.seconds) },
    { name: t('files.ecg_began'), said: beganText(seen, now) },
  ];
  if (seen.marks > 0) {
    facts.push({ name: t('files.ecg_marks'), said: formatNumber(seen.marks) });
  }
  if (missing.length > 0) facts.push({ name: t('files.ecg_missing'), said: missing.join(', ') });
  if (seen.acceptable !== null) {
    const said = t(seen.acceptable ? 'files.ecg_readable' : 'files.ecg_unreadable');
    facts.push({ name: t('files.ecg_quality'), said });
  }
  if (seen.doubts.length > 0) {
    const said = seen.doubts
      .map(({ lead, reason }) =>
        t('files.ecg_doubt_of', { lead, why: t(`files.ecg_why_${reason}`) }),
      )
      .join(', ');
    facts.push({ name: t('files.ecg_doubts'), said });
  }
  return facts;
}
