/**
 * Every word of the page, in English and French; nothing else in the page holds a sentence.
 */

const en = {
  title: "Search the archive", skip: "Skip to the results", ask: "Search the archive", search: "Search",
  language: "Language of the page", theme: "Light or dark", keys: "Keyboard", forget: "Forget the key",
  filters: "Filters", filters_on: "({n} on)", mode: "Search by", mode_hybrid: "words and meaning", mode_dense: "meaning",
  mode_sparse: "words", f_language: "Language", engine: "Read by", min_score: "Score at least", any: "any", any_score: "any",
  per_document: "Hits per document", no_limit: "no limit", spread: "Show", all: "all hits", diverse: "diverse hits",
  only_in: "Only in", remove: "Search all documents again", more: "More hits",
  "hits.one": "{n} hit", "hits.other": "{n} hits", searched: "{hits} in {ms} ms, from {version}", loading: "Searching…",
  rank: "Hit {n}", page: "page {n}", page_of: "Page {n} of {of}", view: "View page {n}, larger", score: "Score",
  image_alt: "Page {n} of {title}, the matching words marked", image_wait: "Loading the page…", image_failed: "The page image could not be loaded.",
  read_by: "Read by", text_layer: "text layer of the file", ocr: "OCR, {engines}", confidence: "Confidence",
  sure_4: "very high", sure_3: "high", sure_2: "fair: compare with the image", sure_1: "low: compare with the image",
  version: "Version", proof_id: "Proof id", copy: "Copy", copied: "Copied", proof: "Proof file",
  "also.one": "Also in {n} document", "also.other": "Also in {n} documents",
  "similar.one": "{n} nearly identical hit", "similar.other": "{n} nearly identical hits",
  file: "Open the file here", only: "Only this document", trace: "Check the chain",
  trace_wait: "Recomputing the hashes…", "trace_holds.one": "The link holds.", "trace_holds.other": "All {n} links hold: this text leads back to the stored file.",
  "trace_broken.one": "{n} link is BROKEN: do not rely on this hit.", "trace_broken.other": "{n} links are BROKEN: do not rely on this hit.",
  holds: "holds", broken: "BROKEN", recorded: "recorded", found: "found", gone: "The document was changed or removed in the archive since.",
  live: "What is served", live_line: "{version}, released {date}, {passed} of {n} checks passed", chip: "{version}: {passed} of {n} checks passed",
  released: "Released", pages: "Pages", ledger: "{pages} = {indexed} indexed + {blank} blank + {quarantined} quarantined",
  adds_up: "adds up", adds_not: "DOES NOT ADD UP", coverage: "Coverage", documents: "Documents", points: "Passages (points)", model: "Model",
  replaced: "Replaced", verified: "Last verified", verified_ok: "{version} on {date}: everything held", verified_bad: "{version} on {date}: something was BROKEN", verified_never: "not known",
  record: "Release record", verdicts: "Checks: {passed} of {n} passed", canaries: "Canary checks after the release: {passed} of {n} passed", switched_off: "Switched off in the settings: {names}", pass: "passed", warn: "warning", fail: "FAILED",
  first: "Every hit shows its page, and how far it can be trusted.", first_how: "Type a few words, or a question. Press {key} for the keyboard.",
  none: "No hits", none_help: "What may help:", none_words: "fewer, or other words", none_filters: "Remove the filters", none_mode: "Search by words and meaning",
  retry: "Try again", details: "Request id:", wait: "Trying again in {n} s", remedy: "What to do:",
  offline: "The service cannot be reached", offline_help: "Check the network. The search is tried again when it is back.",
  nothing: "Nothing is live yet", nothing_help: "No version of the archive has been released. Once one is, it can be searched here.",
  failed: "This did not work", key_title: "This service asks for a key", key_help: "It is kept in this tab only, until you close it or press “Forget the key”.",
  key_wrong: "This key was not accepted.", key_label: "Key", key_use: "Use this key", zoom: "Full size", as_read: "Text as read", close: "Close",
  previous: "Previous page", next: "Next page", blank_page: "This page is blank.", quarantined_page: "This page is in quarantine: {reason}. Nothing of it can be found.", no_text: "No text.",
  k_search: "to the search box", k_hits: "next and previous hit", k_open: "view the page", k_file: "open the file", k_chain: "check the chain", k_pages: "previous and next page (in the view)", k_close: "close", k_help: "this list",
};

const fr = {
  title: "Chercher dans les archives", skip: "Aller aux résultats", ask: "Chercher dans les archives", search: "Chercher",
  language: "Langue de la page", theme: "Clair ou sombre", keys: "Clavier", forget: "Oublier la clé",
  filters: "Filtres", filters_on: "({n} en place)", mode: "Chercher par", mode_hybrid: "mots et sens", mode_dense: "sens",
  mode_sparse: "mots", f_language: "Langue", engine: "Lu par", min_score: "Score minimal", any: "indifférent", any_score: "aucun",
  per_document: "Par document", no_limit: "sans limite", spread: "Montrer", all: "tous les résultats", diverse: "des résultats variés",
  only_in: "Seulement dans", remove: "Chercher de nouveau dans tous les documents", more: "Plus de résultats",
  "hits.one": "{n} résultat", "hits.other": "{n} résultats", searched: "{hits} en {ms} ms, version {version}", loading: "Recherche…",
  rank: "Résultat {n}", page: "page {n}", page_of: "Page {n} sur {of}", view: "Voir la page {n} en grand", score: "Score",
  image_alt: "Page {n} de {title}, les mots trouvés sont marqués", image_wait: "Chargement de la page…", image_failed: "L’image de la page n’a pas pu être chargée.",
  read_by: "Lu par", text_layer: "couche de texte du fichier", ocr: "OCR, {engines}", confidence: "Confiance",
  sure_4: "très élevée", sure_3: "élevée", sure_2: "moyenne : comparez avec l’image", sure_1: "faible : comparez avec l’image",
  version: "Version", proof_id: "N° de preuve", copy: "Copier", copied: "Copié", proof: "Fichier de preuve",
  "also.one": "Aussi dans {n} document", "also.other": "Aussi dans {n} documents",
  "similar.one": "{n} résultat presque identique", "similar.other": "{n} résultats presque identiques",
  file: "Ouvrir le fichier ici", only: "Seulement ce document", trace: "Vérifier la chaîne",
  trace_wait: "Les empreintes sont recalculées…", "trace_holds.one": "Le maillon tient.", "trace_holds.other": "Les {n} maillons tiennent : ce texte remonte jusqu’au fichier conservé.",
  "trace_broken.one": "{n} maillon est ROMPU : ne vous fiez pas à ce résultat.", "trace_broken.other": "{n} maillons sont ROMPUS : ne vous fiez pas à ce résultat.",
  holds: "tient", broken: "ROMPU", recorded: "noté", found: "trouvé", gone: "Le document a été modifié ou retiré des archives depuis.",
  live: "Ce qui est servi", live_line: "{version}, publiée le {date}, {passed} contrôles réussis sur {n}", chip: "{version} : {passed} contrôles réussis sur {n}",
  released: "Publiée", pages: "Pages", ledger: "{pages} = {indexed} (indexées) + {blank} (vides) + {quarantined} (en quarantaine)",
  adds_up: "le compte y est", adds_not: "LE COMPTE N’Y EST PAS", coverage: "Couverture", documents: "Documents", points: "Passages (points)", model: "Modèle",
  replaced: "Remplace", verified: "Dernière vérification", verified_ok: "{version}, le {date} : tout tenait", verified_bad: "{version}, le {date} : quelque chose était ROMPU", verified_never: "inconnue",
  record: "Acte de publication", verdicts: "Contrôles : {passed} réussis sur {n}", canaries: "Contrôles témoins après la publication : {passed} réussis sur {n}", switched_off: "Désactivés dans les réglages : {names}", pass: "réussi", warn: "avertissement", fail: "ÉCHEC",
  first: "Chaque résultat montre sa page, et jusqu’où on peut s’y fier.", first_how: "Tapez quelques mots ou une question. {key} montre les touches.",
  none: "Aucun résultat", none_help: "Ce qui peut aider :", none_words: "moins de mots, ou d’autres", none_filters: "Retirer les filtres", none_mode: "Chercher par mots et sens",
  retry: "Réessayer", details: "N° de requête :", wait: "Nouvel essai dans {n} s", remedy: "Que faire :",
  offline: "Le service est injoignable", offline_help: "Vérifiez le réseau. La recherche reprendra dès son retour.",
  nothing: "Rien n’est encore publié", nothing_help: "Aucune version des archives n’a été publiée. Dès qu’il y en aura une, on pourra y chercher ici.",
  failed: "Cela n’a pas fonctionné", key_title: "Ce service demande une clé", key_help: "Elle reste dans cet onglet seulement, jusqu’à sa fermeture ou jusqu’à « Oublier la clé ».",
  key_wrong: "Cette clé n’a pas été acceptée.", key_label: "Clé", key_use: "Utiliser cette clé", zoom: "Taille réelle", as_read: "Texte lu", close: "Fermer",
  previous: "Page précédente", next: "Page suivante", blank_page: "Cette page est vide.", quarantined_page: "Cette page est en quarantaine : {reason}. Rien n’en peut être trouvé.", no_text: "Pas de texte.",
  k_search: "vers la recherche", k_hits: "résultat suivant, précédent", k_open: "voir la page", k_file: "ouvrir le fichier", k_chain: "vérifier la chaîne", k_pages: "page précédente, suivante (dans la vue)", k_close: "fermer", k_help: "cette liste",
};

const TABLES = { en, fr };
const CHOSEN = "ragflow.language";
let language = "en";
/** The language with the reader's region where the browser tells one: numbers and dates differ by it. */
let region = "en";

/** @returns {"en"|"fr"} the language of the page now */
export const current = () => language;

/** Take the language that was chosen before, else the browser's, else English. */
export function startLanguage() {
  const wanted = [localStorage.getItem(CHOSEN), ...navigator.languages].map((tag) => String(tag).slice(0, 2));
  use(wanted.find((tag) => tag in TABLES) ?? "en");
}

/** @param {"en"|"fr"} chosen remembered for the next visit */
export function choose(chosen) {
  localStorage.setItem(CHOSEN, chosen);
  use(chosen);
}

/** Put the language into the page: its `lang`, and every element that names its words. */
function use(chosen) {
  language = chosen;
  region = navigator.languages.find((tag) => tag.startsWith(chosen)) ?? chosen;
  document.documentElement.lang = chosen;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll("[data-t-label]")) {
    node.setAttribute("aria-label", t(node.dataset.tLabel));
    if (node.matches("button")) node.title = t(node.dataset.tLabel);
  }
  for (const node of document.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
}

/**
 * The words for a key. With a number `n`, a key that has plural forms is said in the right one.
 * @param {string} name
 * @param {Object<string, string|number>} [values] for the {places}
 */
export function t(name, values = {}) {
  const words = TABLES[language];
  const form = typeof values.n === "number" ? `${name}.${new Intl.PluralRules(language).select(values.n)}` : name;
  const text = words[name] ?? words[form] ?? words[`${name}.other`] ?? name;
  return text.replace(/\{(\w+)\}/g, (_, place) => {
    const value = values[place];
    return typeof value === "number" ? number(value) : String(value ?? "");
  });
}

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export const number = (value, options) => new Intl.NumberFormat(region, options).format(value);

/** @param {number} share 0 to 1; cut, not rounded up: 99.96 % are not all */
export const percent = (share) =>
  number(Math.floor(share * 1000 + 1e-9) / 1000, { style: "percent", maximumFractionDigits: 1 });

/** @param {string} moment ISO 8601 */
export const date = (moment) =>
  moment ? new Intl.DateTimeFormat(region, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment)) : "–";

/** The name of a language in the page's language; what has none is said as it is. */
export function languageName(code) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code) ?? code;
  } catch {
    return code;
  }
}
