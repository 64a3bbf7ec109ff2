"""The report's style sheet: light and dark, for screens of any width and for paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --ink: #1c2024; --soft: #63696f; --edge: #e3e4e2;
  --before: #9aa1a8; --after: #1f63d6; --good: #1a7f4b; --bad: #c2332b; --warn: #fff4d6;
  --warn-ink: #6b4b00;
  --s1: #2f6fdb; --s2: #d97706; --s3: #13906a; --s4: #9353b4; --s5: #cf4452; --s6: #7b8794;
  --idle: #dfe2e5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --card: #1c2024; --ink: #e7e9ea; --soft: #9aa2a9; --edge: #30363c;
    --before: #7d858d; --after: #6ea8ff; --good: #4cc38a; --bad: #ff7b72; --warn: #3a2f10;
    --warn-ink: #f2d58b;
    --s1: #6ea8ff; --s2: #f0a040; --s3: #3fc79a; --s4: #c08ae0; --s5: #ff7d88; --s6: #96a1ad;
    --idle: #3a4149;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
main, header, footer { max-width: 1040px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 40px; }
section { margin: 44px 0; }
h1 { font-size: 2.1rem; line-height: 1.15; margin: 0 0 8px; letter-spacing: -0.015em;
  overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; margin: 0 0 12px; letter-spacing: -0.01em; }
h3 { font-size: 1rem; margin: 0; }
h4 { font-size: .875rem; margin: 0; overflow-wrap: anywhere; }
p { margin: 0 0 10px; overflow-wrap: anywhere; }
.kicker { color: var(--soft); font-size: .8rem; letter-spacing: .08em; text-transform: uppercase;
  margin: 0 0 4px; }
.lead { font-size: 1.1rem; max-width: 46em; }
.note { color: var(--soft); font-size: .86rem; max-width: 60em; }
.soft { color: var(--soft); font-weight: 400; }
.warning { background: var(--warn); color: var(--warn-ink); padding: 8px 12px; border-radius: 8px;
  font-size: .9rem; }
code, pre { font: .86em/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  unicode-bidi: isolate; overflow-wrap: anywhere; }
pre { background: var(--card); border: 1px solid var(--edge); border-radius: 8px; padding: 12px;
  overflow: auto; white-space: pre; }
q { unicode-bidi: isolate; }
figure { margin: 0; }
.tiles { display: grid; gap: 14px; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr));
  margin-bottom: 16px; }
.tile, .chart, .dots, .bars, .task-table, .film {
  background: var(--card); border: 1px solid var(--edge); border-radius: 12px; padding: 16px 18px; }
.dots { margin-bottom: 10px; }
.tile p { margin: 0; }
.tile-name { font-weight: 600; }
.tile-figure { font-size: 2.1rem; line-height: 1.25; font-weight: 680; color: var(--after);
  letter-spacing: -0.02em; white-space: nowrap; }
.tile-figure .from { color: var(--before); font-weight: 500; }
.tile-figure .soft { font-size: 1.4rem; }
.tile-gain { font-weight: 600; font-size: .92rem; }
.tile .note { margin-top: 4px; }
.sentences { padding-left: 1.2em; margin: 0 0 18px; font-size: .95rem; }
.from { color: var(--soft); }
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 14px;
  align-items: baseline; margin-bottom: 8px; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; font-size: .84rem; color: var(--soft); }
.legend b { color: var(--ink); }
.key { white-space: nowrap; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.swatch.before { background: var(--card); border: 2px solid var(--before); border-radius: 50%; }
.swatch.after { background: var(--after); border-radius: 50%; }
.dots h4 { margin: 12px 0 0; }
.row { display: grid; grid-template-columns: 74px 1fr 112px; gap: 14px; align-items: center; }
.row-name { color: var(--soft); font-size: .88rem; }
.row-figure { text-align: right; white-space: nowrap; font-size: .92rem; }
.row-figure .to { font-weight: 680; }
svg { display: block; width: 100%; }
svg text { fill: var(--soft); font-size: 11px; }
svg.track { overflow: visible; }
.grid { stroke: var(--edge); stroke-width: 1; }
.range { stroke-width: 3; stroke-linecap: round; opacity: .55; }
.range.before { stroke: var(--before); } .range.after { stroke: var(--after); }
.rate { stroke-width: 2; }
.rate.before { fill: var(--card); stroke: var(--before); }
.rate.after { fill: var(--after); stroke: var(--after); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.faint { stroke-width: 1; opacity: .32; } .line.thin { stroke-width: 1.2; opacity: .8; }
.line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); } .line.s3 { stroke: var(--s3); }
.line.s4 { stroke: var(--s4); } .line.s5 { stroke: var(--s5); } .line.s6 { stroke: var(--s6); }
.dot.s1, .part.s1 { fill: var(--s1); } .dot.s2, .part.s2 { fill: var(--s2); }
.dot.s3, .part.s3 { fill: var(--s3); } .dot.s4, .part.s4 { fill: var(--s4); }
.dot.s5, .part.s5 { fill: var(--s5); } .dot.s6, .part.s6 { fill: var(--s6); }
.part.idle { fill: var(--idle); }
.swatch.s1 { background: var(--s1); } .swatch.s2 { background: var(--s2); }
.swatch.s3 { background: var(--s3); } .swatch.s4 { background: var(--s4); }
.swatch.s5 { background: var(--s5); } .swatch.s6 { background: var(--s6); }
.swatch.idle { background: var(--idle); }
.bar { border-radius: 7px; }
.part { stroke: var(--card); stroke-width: 1.5; }
.parts { list-style: none; display: flex; flex-wrap: wrap; gap: 2px 18px; padding: 0;
  margin: 10px 0 0; font-size: .88rem; }
.bars, .task-table, .film { margin-bottom: 14px; }
.grid-2, .grid-3 { display: grid; gap: 14px; margin: 12px 0 18px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); }
.grid-3 { grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); }
.grid-2 .bars { margin: 0; }
.chart .note { margin: 4px 0 0; }
.chart.small { padding: 12px 14px; }
.chart.small h4 { font-size: .82rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
caption { text-align: left; color: var(--soft); padding: 4px 0; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--edge);
  vertical-align: middle; }
thead th { color: var(--soft); font-weight: 500; white-space: nowrap; }
tbody th { font-weight: 500; }
tbody tr:last-child > * { border-bottom: 0; }
.task-table td:nth-child(2) { width: 34%; min-width: 140px; padding: 5px 22px 5px 6px; }
.task-table th code { overflow-wrap: normal; white-space: nowrap; }
.figure { white-space: nowrap; }
details { margin-top: 8px; font-size: .92rem; }
summary { cursor: pointer; color: var(--soft); font-size: .86rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.film p { margin: 2px 0 6px; }
.goal { font-size: 1.02rem; }
.strip { list-style: none; display: flex; gap: 12px; overflow-x: auto; padding: 4px 2px 10px;
  margin: 8px 0 0; scroll-snap-type: x proximity; }
.strip li { flex: 0 0 auto; max-width: 84vw; scroll-snap-align: start; }
.strip li.gap { width: auto; align-self: center; color: var(--soft); }
.strip svg { border: 1px solid var(--edge); border-radius: 8px; background: #fff; padding: 3px; }
.strip p { margin: 6px 0 0; font-size: .86rem; }
.step { display: inline-block; min-width: 1.6em; text-align: center; border-radius: 5px;
  background: var(--edge); font-size: .78rem; padding: 0 5px; margin-right: 7px; }
.target { fill: #e5484d; fill-opacity: .1; stroke: #e5484d; stroke-width: 2; }
.error { color: var(--bad); }
footer { color: var(--soft); font-size: .84rem; padding-bottom: 48px; }
@media (max-width: 560px) {
  main, header, footer { padding-left: 14px; padding-right: 14px; }
  .row { grid-template-columns: 1fr auto; gap: 0 10px; padding: 4px 0; }
  .row svg { grid-column: 1 / -1; grid-row: 2; }
  .task-table tr > :nth-child(2), .task-table tr > :nth-child(5) { display: none; }
  .task-table th code { white-space: normal; overflow-wrap: break-word; }
  .task-table .figure .soft { display: none; }
  .task-table table { font-size: .8rem; }
  .task-table th, .task-table td { padding-right: 8px; }
}
@media print {
  :root { --ground: #fff; }
  body { font-size: 10pt; }
  main, header, footer { max-width: none; }
  figure, .tile, .task-table tr, .strip li { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .strip { flex-wrap: wrap; overflow: visible; }
  .strip li { width: 30%; }
  details:not([open]) { display: none; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""
