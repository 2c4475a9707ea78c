package conformance

import (
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	cases, err := read(`with grpc

# A comment.
define wait
{phase} return 1
{phase} say "{text}"

define phases
| tick | /
| log |

let text a | b
for policy in open "reload"
for phase, path
{phases}
case {phase} under {policy}
with policy={policy} use-remote-address=off
{wait}
for n in 1 2
  configure say message(1:"ab",2:{n},3:"") repeat("xy",2)
----
send POST /{path} host=h header=a:b:c header="d:e f" body=repeat("x",3) leave="done("
until 503 GET /{case}
await probe "in": unhealthy
upstream /in status=500
`)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range cases {
		names = append(names, c.Name)
	}
	want := "tick under open, log under open, tick under reload, log under reload"
	if got := strings.Join(names, ", "); got != want {
		t.Errorf("the cases are %s, want %s", got, want)
	}
	c := cases[3]
	if want := "log return 1\nlog say \"a | b\"\nconfigure say \"\\n\\x02ab\\x10\\x01\\x1a\\x00\" \"xyxy\"\n" +
		"configure say \"\\n\\x02ab\\x10\\x02\\x1a\\x00\" \"xyxy\""; c.Config != want {
		t.Errorf("the configuration is\n%s, want\n%s", c.Config, want)
	}
	if !c.Grpc || c.Remote || c.Policy != "reload" || len(c.Steps) != 5 {
		t.Fatalf("the case is %+v", c)
	}
	r := c.Steps[0].Request
	if r.Method != "POST" || r.Path != "/" || r.Authority != "h" || r.Body != "xxx" || c.Steps[0].Leave != "done(" ||
		len(r.Header) != 2 || r.Header[0] != [2]string{"a", "b:c"} || r.Header[1] != [2]string{"d", "e f"} {
		t.Errorf("the first step is %+v of %+v", c.Steps[0], r)
	}
	if s := c.Steps; s[1].Until != s[2].Request || s[1].Status != 503 || s[2].Request.Path != "/{case}" ||
		s[3].Await != `probe "in": unhealthy` || s[4].Turn != "/in" || s[4].Status != 500 {
		t.Errorf("the other steps are %+v", s[1:])
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"send GET /":                                 "begins no case",
		"case a\nwith nothing":                       `"nothing" is not known here`,
		"case a\nwith workers":                       `"workers" is not known here`,
		"case a\nwith workers=two":                   "invalid syntax",
		"case a\nwith alone=yes":                     `"alone=yes" is not known here`,
		"case a\nwith policy=never":                  `"never" is not a policy`,
		"case a\n{case} {unknown}":                   "{unknown} is not defined",
		"case a\n----\nsend GET /{unknown}":          "{unknown} is not defined",
		"case a\n----\nget /":                        `"get" is not a step`,
		"case a\n----\nsend GET":                     "no method and path",
		"case a\n----\nsend GET / to=me":             `"to=me" is not known here`,
		"case a\n----\nuntil soon GET /":             "invalid syntax",
		"case a\n----\nupstream /in 500":             "input does not match",
		"for a, b\n| 1\ncase a":                      "are not the values",
		"case a\nrequest_headers say message(1:x.y)": "no key x.y",
	} {
		t.Run(text, func(t *testing.T) {
			if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error is %v, want %s", err, want)
			}
		})
	}
}
