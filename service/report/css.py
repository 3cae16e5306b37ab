"""How the report looks: one column, a serif for words and a sans for figures, a palette that survives colour blindness.

Depth of sleep is lightness of one blue, so that it also survives a grey printer; orange marks the chosen fact and
vermilion what went wrong (Okabe and Ito). Dark pages turn the lightness round: the deepest stage stands out on both.
"""

from __future__ import annotations

from service.report.lineage_graph import LANES_CSS

LIGHT = """
  --ink: #1d232e; --soft: #566070; --faint: #98a1ae; --rule: #e2e6ec; --paper: #ffffff; --sleep: #e6ebf5;
  --nap: #f2f5fa; --p0: #8cc4e8; --p1: #64a9d9; --p2: #428cc6; --p3: #2b70b0; --p4: #1e5693; --p5: #0b2d5a;
  --chosen: #e08e00; --warn: #c8500a; --limit: #98a1ae;
"""
DARK = """
  --ink: #e6e9ef; --soft: #a3acba; --faint: #737d8c; --rule: #2a303a; --paper: #13161b; --sleep: #202938;
  --nap: #191f29; --p0: #2f6493; --p1: #3c7bb0; --p2: #5394c9; --p3: #77aedb; --p4: #a2caeb; --p5: #e2f1fd;
  --chosen: #f5b041; --warn: #f0803c; --limit: #737d8c;
"""

CSS = (
    f"""
:root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
@media print {{ :root {{ {LIGHT} }} figure {{ break-inside: avoid; }} }}
"""
    + """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5; overflow-wrap: anywhere;
  font-family: "Iowan Old Style", "Palatino Linotype", Palatino, "Book Antiqua", Georgia, "DejaVu Serif", serif; }
main { max-width: 1136px; margin: 0 auto; padding: 36px 28px 48px; }
h1 { font-size: 30px; font-weight: 600; margin: 0; letter-spacing: -0.01em; line-height: 1.2; }
h2 { font-size: 19px; font-weight: 600; margin: 44px 0 4px; }
p, figcaption { max-width: 46em; }
.under { color: var(--soft); margin: 6px 0 0; }
dl, svg, .life, .key, .facts { font-family: "Helvetica Neue", Arial, "Liberation Sans", "DejaVu Sans", system-ui,
  sans-serif;
  font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(148px, 1fr)); margin: 26px 0 0; gap: 1px 24px;
  border-top: 1px solid var(--rule); }
dl div { padding: 12px 0; border-bottom: 1px solid var(--rule); }
dt { color: var(--soft); font-size: 12.5px; }
dd { margin: 0; font-size: 25px; line-height: 1.25; }
dd small { display: block; font-size: 12.5px; color: var(--soft); line-height: 1.4; min-height: 1.4em; }
figure { margin: 14px 0 0; }
figcaption { color: var(--soft); font-size: 14.5px; margin-top: 6px; }
figcaption b { color: var(--ink); font-weight: 600; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg.narrow { display: none; max-width: 720px; }
@media (max-width: 860px) { svg.wide { display: none; } svg.narrow { display: block; }
  main { padding: 26px 24px 40px; } h1 { font-size: 26px; } }
text { fill: var(--ink); font-size: 12.5px; }
text.tick { fill: var(--soft); font-size: 11.5px; }
text.name { font-size: 13px; }
text.count { font-size: 13px; font-weight: 600; }
text.undone-name { fill: var(--warn); font-size: 11.5px; }
path { fill: none; }
path.rule { stroke: var(--rule); }
path.axis { stroke: var(--faint); }
path.limit { stroke: var(--limit); stroke-dasharray: 5 4; }
path.undone { stroke: var(--warn); stroke-width: 1.4; stroke-dasharray: 4 3; }
path.checkpoint { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 1.5 3; }
text.checkpoint-name { fill: var(--soft); font-size: 11.5px; font-style: italic; }
path.left { stroke-width: 1.6; }
rect.sleep { fill: var(--sleep); }
rect.nap { fill: var(--nap); }
path.between { stroke-width: 1; stroke-opacity: 0.28; }
.chosen path { stroke: var(--chosen); }
.chosen path.between { stroke-opacity: 0.9; stroke-width: 1.4; }
.chosen path.halo { stroke: var(--paper); stroke-width: 5.5; }
.fact:hover path:not(.halo) { stroke: var(--chosen); stroke-opacity: 1; }
path.cross { stroke: var(--warn); stroke-width: 1.3; }
path.curve { stroke: var(--p3); stroke-width: 1.4; }
.mark circle { fill: var(--paper); stroke: var(--p3); stroke-width: 1.6; }
.mark.rested circle { fill: var(--p3); }
path.area { stroke: none; }
path.area.occupied { fill: var(--p1); fill-opacity: 0.3; }
path.area.waiting { fill: var(--faint); fill-opacity: 0.4; }
path.area.edits { fill: var(--p0); }
path.area.dissolved { fill: var(--p5); }
path.edge { stroke-width: 1.2; }
path.edge.occupied { stroke: var(--p3); }
.key { display: inline-block; width: 0.8em; height: 0.8em; border-radius: 2px; vertical-align: -0.05em; }
.key.waiting { background: var(--faint); opacity: 0.6; }
.key.edits { background: var(--p0); }
.key.dissolved { background: var(--p5); }
summary { cursor: pointer; color: var(--soft); font-size: 14.5px; margin: 6px 0 10px; }
.facts { width: 100%; border-collapse: collapse; font-size: 13px; line-height: 1.35; }
.facts th, .facts td { text-align: left; vertical-align: top; padding: 6px 14px 6px 0; font-weight: 400;
  border-bottom: 1px solid var(--rule); }
.facts thead th { color: var(--soft); font-size: 12.5px; }
.facts tbody th { width: 40%; }
.facts .chosen th { color: var(--chosen); }
.life { position: relative; font-size: 13px; margin-top: 58px; }
.life .lanes { position: absolute; top: -6px; height: 0; }
.life .lanes i { position: absolute; bottom: 0; font-style: normal; font-size: 11px; color: var(--soft);
  transform-origin: 0 100%; transform: rotate(-55deg); white-space: nowrap; }
.life svg { position: absolute; left: 0; top: 0; width: 114px; }
.life ol { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--rule); }
.life li { height: 40px; padding: 0 10px 0 122px; display: flex; gap: 12px; align-items: center;
  border-bottom: 1px solid var(--rule); line-height: 1.3; }
.life li.sleep { background: var(--sleep); }
.life li.nap { background: var(--nap); }
.life li.gap, .life li.aside span { color: var(--soft); }
.life li.gap { padding-left: 172px; }
.life li b { flex: 0 0 38px; text-align: right; font-weight: 600; }
.life li span { flex: 1; overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; }
.life time { flex: 0 0 72px; color: var(--soft); font-size: 11px; text-align: right; }
.dot { fill: var(--p3); stroke: var(--paper); stroke-width: 1.5; }
.dot.client { fill: var(--chosen); }
.dot.sleep { fill: var(--faint); }
.dot.adapter, .dot.stage { fill: var(--p5); }
.dot.bad { fill: var(--warn); }
.dot.aside { fill: var(--paper); stroke: var(--faint); }
path.edge-of { stroke: var(--faint); stroke-width: 1.3; }
footer { margin-top: 48px; padding-top: 12px; border-top: 1px solid var(--rule); color: var(--soft); font-size: 13px; }
@media (max-width: 860px) { .life time, .facts :is(th, td):nth-child(n + 5) { display: none; } }
"""
    + LANES_CSS
)
