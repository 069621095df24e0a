import en from './en/devices.json';
import ru from './ru/devices.json';
import { addCatalogue } from './t';
import tt from './tt/devices.json';

// Imported by its page, which comes later than the shell: so do its sentences.
addCatalogue('devices', { ru, tt, en });
