package order

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/envoy/admin"
	"github.com/healthgate/healthgate/envoy/internal/admintest"
	"github.com/healthgate/healthgate/envoy/internal/reach"
	"github.com/healthgate/healthgate/envoy/must"
)

// Who looks is told of the endpoints of the configuration alone, of none where that is not known, and why.
func TestReport(t *testing.T) {
	t.Parallel()
	const gaugeOfB, old = "\nwasmcustom.healthgate_maintenance.endpoint.b: 0\n",
		"wasmcustom.healthgate_maintenance.endpoint.old: 1\n"
	const other = `{"name": "adm", "load_assignment": {
		"address": {"socket_address": {"address": "127.0.0.1", "port_value": 9902}}}}`
	const out, in = gaugeOfA + "0" + gaugeOfB, gaugeOfA + "1" + gaugeOfB
	own := []string{`"bootstrap": {`, `"bootstrap": {"admin": {"address": {"socket_address": {
		"address": "127.0.0.1", "port_value": 9901}}}, `, `{"name": "adm"}`, other}
	for name, test := range map[string]struct {
		key, value, stats string
		edits             []string
		endpoints, note   string
	}{
		"in maintenance":              {"k", "true", in, nil, `["a"]`, ""},
		"not in maintenance":          {"k", "", out, nil, `[]`, ""},
		"an endpoint that is no more": {"k", "", out + old, nil, `[]`, ""},
		"no metric":                   {"k", "true", "", nil, `null`, "no metric of the plugin is there: did it start?"},
		"hidden metrics": {"k", "true", "", []string{`{"layered_runtime"`,
			`{"stats_config": {"stats_matcher": {"reject_all": true}}, "layered_runtime"`}, `null`,
			"its stats_matcher leaves out the plugin's metrics"},
		"metrics that can't be read": {"k", "true", "?", nil, `null`, "which endpoints are in maintenance is not known: "},
		"by route":                   {"r", "100", out, nil, `["a"]`, ""},
		"by route, no metric":        {"r", "100", "", nil, `null`, "did it start?"},
		"a part by route":            {"r", "50", out, nil, `[]`, "r = 50 puts only 50% of the checks of /a"},
		"another admin":              {"k", "true", out, own, `[]`, "and this Envoy's own admin is at 127.0.0.1:9901"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := answers{
				"/runtime":     says(strings.NewReplacer(`"k"`, fmt.Sprintf("%q", test.key), "true", test.value).Replace(isOn)),
				"/config_dump": says(configuration(t, test.edits...)),
				"/stats": func(w http.ResponseWriter) {
					if test.stats == "?" {
						w.WriteHeader(http.StatusForbidden)
					}
					fmt.Fprint(w, test.stats)
				},
			}.start(t)
			s := Ask(t.Context(), client, test.key, test.key == "r").Report()
			notes := strings.Join(s.Notes, "; ")
			if got := must.Get(json.Marshal(s.Endpoints))(t); string(got) != test.endpoints || s.Error != "" ||
				!strings.Contains(notes, test.note) || test.note == "" && notes != "" {
				t.Errorf("%s: %+v", got, s)
			}
		})
	}
}

// What is said of endpoints where an order fails is not of before it.
func TestEndpointsOfAFailure(t *testing.T) {
	t.Parallel()
	a := admintest.Start(t)
	client := must.Get(admin.New(a.URL, admin.Access{}))(t)
	e := Ask(t.Context(), client, admintest.Key, false)
	_ = must.Get(http.Post(a.URL+"/runtime_modify?"+admintest.Key+"=true", "", nil))(t).Body.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	s := e.Wait(ctx, Order{Key: admintest.Key}, reach.Admin, nil)
	if s.Error == "" || !s.on() || len(s.Endpoints) != 1 {
		t.Errorf("%+v", s)
	}
}

// Where another layer may have been written, it is said what this Envoy reads, unless that has what was written since.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	says := func(value string) *admin.Runtime {
		return &admin.Runtime{Layers: []string{"disk"},
			Entries: map[string]admin.Entry{"k": {Value: value, Layers: []string{value}}}}
	}
	const note = `its disk layers are "disk"%s, which reads /here: is one of them %s by another name, as in a container?`
	for _, test := range []struct{ path, before, now, want string }{
		{"/here", "true", "true", ""},
		{"/there", "", "true", ""},
		{"/there", "true", "true", fmt.Sprintf(note, ` ("true", as before)`, "/there")},
	} {
		e := Envoy{key: "k", before: says(test.before), runtime: says(test.now), known: &reach.Envoy{Layers: []reach.Layer{
			{Name: "disk", Kind: reach.Disk, SymlinkRoot: "/here"}}}}
		o := Order{Key: "k", Value: On, On: true, Path: test.path}
		if got := strings.Join(e.Elsewhere(o, reach.Disk, test.path), "\n"); got != test.want {
			t.Errorf("%+v: %q", test, got)
		}
	}
}
