/** The page's whole style: both colour schemes, from a phone's width to paper. Nothing in it is loaded from anywhere. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --text: #1b1f24; --quiet: #5b6470; --line: #dfe3e8;
  --good: #1a7f4b; --good-soft: #e3f5ea; --bad: #b3261e; --bad-soft: #fdeceb; --open: #8a5a00; --open-soft: #fdf3dd;
  --bar: #3567c9; --track: #e9edf3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151a; --card: #1b2027; --text: #e7eaee; --quiet: #9aa5b1; --line: #2e353f;
    --good: #5fd08f; --good-soft: #14301f; --bad: #ff8f87; --bad-soft: #3a1917; --open: #f0c264; --open-soft: #352a10;
    --bar: #7da7ff; --track: #262d37;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 58rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1rem; font-weight: 600; margin: 0; color: var(--quiet); }
h2 { font-size: 1.05rem; margin: 0 0 .75rem; }
p { margin: 0; }
section, header { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.1rem 1.25rem; margin: 0 0 1rem; }
header { border-left: 6px solid var(--tone); background: var(--soft); }
header.passed { --tone: var(--good); --soft: var(--good-soft); }
header.failed { --tone: var(--bad); --soft: var(--bad-soft); }
header.unfinished { --tone: var(--open); --soft: var(--open-soft); }
.headline { font-size: 1.5rem; line-height: 1.3; font-weight: 700; color: var(--tone); margin: .15rem 0 .25rem; overflow-wrap: anywhere; }
.when { color: var(--quiet); font-size: .9rem; }
.failure { margin-top: .75rem; overflow-wrap: anywhere; }
.objectives { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: 1rem; margin: 0 0 1rem; }
.objectives section { margin: 0; }
.number { font-size: 1.7rem; font-weight: 700; line-height: 1.2; }
.quiet { color: var(--quiet); font-size: .9rem; }
.good { color: var(--good); } .bad { color: var(--bad); }
.meter { height: 8px; border-radius: 4px; background: var(--track); margin: .6rem 0 .35rem; overflow: hidden; }
.meter i { display: block; height: 100%; background: var(--good); }
.meter.over i { background: var(--bad); }
svg { display: block; width: 100%; overflow: visible; }
svg text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--text); }
svg .took { fill: var(--quiet); text-anchor: end; }
svg .axis { fill: var(--quiet); font-size: 12px; }
svg .track { fill: var(--track); } svg .bar { fill: var(--bar); }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; padding: .42rem .6rem .42rem 0; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; color: var(--quiet); font-weight: 600; font-size: .85rem; }
td:first-child { overflow-wrap: anywhere; }
.count { text-align: right; font-variant-numeric: tabular-nums; padding-right: 1.6rem; }
td:last-child, th:last-child { padding-right: 0; }
ul { margin: 0; padding: 0; list-style: none; }
li { padding: .35rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
li:first-child { border-top: 0; }
.mark { font-weight: 700; }
dl { display: grid; grid-template-columns: minmax(7rem, 12rem) 1fr; gap: .35rem 1rem; margin: 0; font-size: .95rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.facts + .facts { margin-top: 1.1rem; }
.facts h3 { font-size: .9rem; margin: 0 0 .4rem; }
footer { color: var(--quiet); font-size: .85rem; padding: 0 .25rem; }
@media (max-width: 34rem) {
  main { padding: .75rem .6rem 2rem; }
  section, header { padding: .9rem; border-radius: 10px; }
  .headline { font-size: 1.25rem; }
  .count { padding-right: .8rem; }
  dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .5rem; }
}
@media print { body { background: none; } section, header { break-inside: avoid; } }
`;
