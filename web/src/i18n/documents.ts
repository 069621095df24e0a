import en from './en/documents.json';
import ru from './ru/documents.json';
import { addCatalogue } from './t';
import tt from './tt/documents.json';

// Imported by its pages, which come later than the shell: so do their sentences.
addCatalogue('documents', { ru, tt, en });
