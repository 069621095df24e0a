import '@fontsource-variable/golos-text';
import './ui/tokens.css';
import './ui/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { language } from './i18n/language.svelte';
import { applyAppearance } from './ui/appearance.svelte';

applyAppearance();
document.documentElement.lang = language();

const target = document.getElementById('app');
if (target) mount(App, { target });
