// Light, dark, or as the system has it. Charts ask here for the colours they draw with.
export type Theme = "system" | "light" | "dark";
const NAME = "pikett.theme";

export function theme(): Theme {
  try {
    const kept = localStorage.getItem(NAME);
    return kept === "light" || kept === "dark" ? kept : "system";
  } catch {
    return "system";
  }
}

export function applyTheme(next: Theme = theme()): void {
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(NAME, next);
  } catch {
    /* not kept then */
  }
  dispatchEvent(new Event("pikett-theme"));
}

/** The colour a class of the style sheet has at this moment. */
export function colour(name: string): string {
  const probe = document.createElement("i");
  probe.className = name;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
