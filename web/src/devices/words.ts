/** Words of devices that come as codes. */

import { isKey, t } from '../i18n/t';

/** Why a message of a device is no reading. */
export function reasonText(reason: string): string {
  const key = `devices.reason_${reason}`;
  return isKey(key) ? t(key) : t('devices.reason_damaged');
}
