/** What the list of a visit's files asks of the API, and how its files are named on screen. */

import { api, ask } from '../../api/client';
import type { Problem } from '../../api/problem';
import { sendFile, type Sending } from '../../api/sending';
import type { VisitFile } from '../../api/types';
import { formatNumber } from '../../i18n/numbers';
import { isKey, t } from '../../i18n/t';
import '../../i18n/files';

const MB = 1024 * 1024;
export const MOST_MB = 25;
/** No HEIC among them: a phone that is offered JPEG makes one. */
export const ACCEPT =
  'image/jpeg,image/png,image/webp,application/pdf,.docx,.xlsx,.pptx,.odt,.txt,.csv,.m4a,.mp3,.ogg,.oga,.opus';
export const ECG_ACCEPT = '.edf,.zip,.dcm,.xml,.scp,.atc,.csv';
const ENDINGS = /\.(jpe?g|jfif|png|webp|pdf|docx|xlsx|pptx|odt|txt|csv|m4a|mp3|ogg|oga|opus)$/i;
const PICTURES: readonly string[] = ['jpeg', 'png', 'webp'];

export const fileUrl = (visitId: string, fileId: string): string =>
  `/api/v1/visits/${visitId}/files/${fileId}`;

export const isPicture = (file: VisitFile): boolean => PICTURES.includes(file.kind);

export function sizeText(bytes: number): string {
  if (bytes < MB) {
    return t('files.kilobytes', { size: formatNumber(Math.max(1, Math.round(bytes / 1024))) });
  }
  return t('files.megabytes', { size: formatNumber(Math.round((bytes / MB) * 10) / 10) });
}

/** Why this file will not be taken, seen without sending it; null when it may be. */
export function refusalBefore(file: File): string | null {
  if (!ENDINGS.test(file.name)) return t('files.refused_type_refused');
  if (file.size === 0) return t('files.refused_empty');
  if (file.size > MOST_MB * MB) return t('files.refused_too_large', { max_mb: MOST_MB });
  return null;
}

/** Our own sentence for a refusal of the server, or null when the common one says it. */
export function refusalText(problem: Problem): string | null {
  const key = `files.refused_${problem.code.replace(/^file_/, '')}`;
  if (problem.code.startsWith('file_') && isKey(key)) return t(key, problem.params);
  if (problem.code === 'server_away' || problem.code === 'body_too_slow') {
    return t('files.refused_away');
  }
  return null;
}

const path = (visitId: string, fileId: string) => ({
  params: { path: { visit_id: visitId, file_id: fileId } },
});

export const loadFiles = (visitId: string): Promise<VisitFile[]> =>
  ask(api.GET('/api/v1/visits/{visit_id}/files', { params: { path: { visit_id: visitId } } }));

export const removeFile = (visitId: string, fileId: string): Promise<unknown> =>
  ask(api.DELETE('/api/v1/visits/{visit_id}/files/{file_id}', path(visitId, fileId)));

/** The id is the page's: sent again after a lost answer it is the same file. */
export function addFile(
  visitId: string,
  fileId: string,
  file: File,
  onprogress: (share: number) => void,
): Sending<VisitFile> {
  const url = `${fileUrl(visitId, fileId)}?name=${encodeURIComponent(file.name)}`;
  return sendFile<VisitFile>(url, 'application/octet-stream', file, onprogress);
}
