import en from './en/ecg.json';
import ru from './ru/ecg.json';
import { addCatalogue } from './t';
import tt from './tt/ecg.json';

// What is said of a trace comes after the trace itself: so do its sentences.
addCatalogue('ecg', { ru, tt, en });
