"""How the status page looks.  Every pair of text and background has a contrast of 4.5 or more in both schemes."""

from __future__ import annotations

CSS = """
:root {
  color-scheme: light dark;
  --back: #ffffff; --card: #f6f8fa; --line: #d0d7de; --text: #1f2328; --faint: #57606a;
  --pass: #116329; --warn: #7d4e00; --fail: #a40e26; --unknown: #7d4e00; --skip: #57606a; --link: #0550ae;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #0d1117; --card: #161b22; --line: #3d444d; --text: #e6edf3; --faint: #9da7b1;
    --pass: #56d364; --warn: #e3b341; --fail: #ff8f87; --unknown: #e3b341; --skip: #9da7b1; --link: #79c0ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--back); color: var(--text);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { margin: 0; font-size: 1.7rem; line-height: 1.25; }
h2 { margin: 1.8rem 0 .6rem; font-size: 1.25rem; }
h3 { margin: 0; font-size: 1rem; }
p, ul, dl { margin: .4rem 0; }
ul { padding-left: 1.2rem; }
a { color: var(--link); }
code { font: .9em/1.4 ui-monospace, monospace; background: var(--card); padding: .1em .3em; border-radius: 3px; }
article code { background: var(--back); }
time, .faint { color: var(--faint); }
.pass { color: var(--pass); } .warn { color: var(--warn); } .fail { color: var(--fail); }
.unknown { color: var(--unknown); } .skip { color: var(--skip); }
.word { font-weight: 700; }
.roles { list-style: none; padding: 0; display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .6rem; }
.roles li, article, .notice { background: var(--card); border: 1px solid var(--line); border-left: .3rem solid var(--faint); border-radius: 4px; padding: .6rem .8rem; margin: 0; }
article { margin: .6rem 0; }
.is-pass { border-left-color: var(--pass) !important; } .is-warn { border-left-color: var(--warn) !important; }
.is-fail { border-left-color: var(--fail) !important; } .is-unknown { border-left-color: var(--unknown) !important; }
.notice { margin: 1rem 0; }
dl { display: grid; grid-template-columns: 8.5rem 1fr; gap: .1rem .8rem; }
dt { color: var(--faint); } dd { margin: 0; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; } }
details { margin: .6rem 0; } summary { cursor: pointer; padding: .3rem 0; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
footer { margin-top: 2rem; padding-top: .6rem; border-top: 1px solid var(--line); color: var(--faint); }
@media print { details > * { display: block; } }
"""
