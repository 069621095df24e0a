import en from './en/consents.json';
import ru from './ru/consents.json';
import { addCatalogue } from './t';
import tt from './tt/consents.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('consents', { ru, tt, en });
