import en from './en/files.json';
import ru from './ru/files.json';
import { addCatalogue } from './t';
import tt from './tt/files.json';

// Imported by what shows files, which comes later than the shell: so do its sentences.
addCatalogue('files', { ru, tt, en });
