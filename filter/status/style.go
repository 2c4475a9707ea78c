package status

// style is the page's CSS: the browser's light or dark colors, and a color and a sign for each level. It is no file
// of its own: to import package embed makes the plugin 248 kB larger.
const style = `:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--fg:#1c2128;--dim:#5d6876;--line:#dde1e6;
--pass:#1a7f37;--warn:#9a6700;--fail:#c4212d}
@media(prefers-color-scheme:dark){
:root{--bg:#0e1217;--card:#171c23;--fg:#e6edf3;--dim:#929ca8;--line:#2d343d;
--pass:#46c35f;--warn:#dba72e;--fail:#ff6b62}
}
.pass{--c:var(--pass);--b:#1a7f37;--s:"✓"}
.warn{--c:var(--warn);--b:#8a5a00;--s:"!";order:-1}
.fail{--c:var(--fail);--b:#b81f2b;--s:"✕";order:-2}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:auto;padding:1.5rem 1rem}
p{margin:.3rem 0}
header,section,.wide{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1rem 1.2rem;
overflow-wrap:anywhere}
header{background:var(--b);border:0;color:#fff}
h1{margin:0;font-size:1.6rem;font-weight:400}
h1:before,.state:before{content:var(--s);margin-right:.5rem}
h2{margin:1.6rem 0 .6rem;font-size:1rem;color:var(--dim)}
caption{font-weight:700;color:var(--dim);text-align:left}
a{color:inherit}
.cards{display:grid;gap:.8rem;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr))}
section{border-top:.3rem solid var(--c)}
h3{margin:0}
.state{color:var(--c);font-weight:600}
.state span,.dim,footer,dt,thead th,td+td:before{color:var(--dim);font-weight:400}
.dim{font:.9rem/1.5 monospace}
dl{display:grid;grid-template-columns:auto 1fr;gap:.1rem .8rem;margin:.6rem 0 0}
dt{white-space:nowrap}
dd{margin:0}
.wide{overflow-x:auto;margin-top:1.6rem}
table{width:100%;border-collapse:collapse}
th,td{padding:.5rem 1rem .5rem 0;text-align:left;white-space:nowrap}
td.state{white-space:normal}
tr+tr{border-top:1px solid var(--line)}
thead{border-bottom:1px solid var(--line)}
tbody th{width:30%}
footer{margin-top:1.5rem;font-size:.9rem}
@media(max-width:48rem){
table,tr,caption,tbody th{display:block;width:auto;padding:0;white-space:normal}
tbody{display:flex;flex-direction:column}
thead,td:empty{display:none}
tr,section,.wide{padding:.5rem}
h3,td,section .state{display:inline;padding:0 .6rem 0 0;font-size:1rem}
td:nth-child(3):before{content:"For "}
td:nth-child(4):before{content:"Answer "}
td:nth-child(5):before{content:"Latency "}
td:nth-child(6):before{content:"Last asked "}
}`
