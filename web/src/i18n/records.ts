import en from './en/records.json';
import ru from './ru/records.json';
import { addCatalogue } from './t';
import tt from './tt/records.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('records', { ru, tt, en });
