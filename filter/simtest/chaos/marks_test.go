package chaos

import (
	"time"

	"github.com/healthgate/healthgate/hostsim"
)

// marksOf marks an operation, alone and together with what is under way.
func (j *judge) marksOf(o op) {
	r, at := j.run, now(j)
	switch o.name {
	case "trap", "callouts":
		r.mark("%s %s", o.name, o.arg(1))
	case "admin", "lose", "race", "draining", "update":
		r.mark("%s %s", o.name, o.arg(0))
	default:
		r.mark("%s", o.name)
	}
	old := len(j.live) > 1
	for what, now := range map[string]bool{
		"update during a stall":                 o.name == "update" && at < j.paused,
		"update while the leader is dead":       o.name == "update" && r.Main().Failed(),
		"crash beside an old configuration":     o.name == "crash" && old,
		"sleep beside an old configuration":     o.name == "sleep" && old,
		"sleep with a callout that hangs":       o.name == "sleep" && r.hanging(),
		"crash with a callout that hangs":       o.name == "crash" && r.hanging(),
		"maintenance while admin is unreadable": o.name == "runtime" && r.adminAnswer != "ok" && j.key(o.arg(0)).on(),
		"drained while probing":                 o.name == "drained" && old,
	} {
		if now {
			r.mark("%s", what)
		}
	}
}

func (r *run) hanging() bool {
	for _, o := range r.plan.ops {
		if o.at > r.Elapsed() {
			break
		}
		if o.name == "callouts" {
			if k := o.arg(1); k == "never" || k == "lost" || k == "timeout" || k == "late" {
				return true
			}
		}
	}
	return false
}

func (j *judge) marksOfAnswer(o *op, before int, at time.Duration, r *hostsim.Reply) {
	for what, now := range map[string]bool{
		"a check waited":                    at > o.at,
		"a check through an old connection": before > 0 && len(j.live) > 1,
		"judged strictly":                   j.strict(at),
		"a stranger passed":                 o.arg(2) == "stranger" && r.Forwarded,
		"200 right after a pause":           r.Status == 200 && j.paused > 0 && at < j.paused+10*ms,
	} {
		if now {
			j.run.mark("%s", what)
		}
	}
}

// wanted are the marks that a campaign must reach.
var wanted = []string{
	"answer healthgate_healthy", "answer healthgate_unhealthy", "answer healthgate_unknown", "answer healthgate_draining",
	"answer healthgate_maintenance", "answer healthgate_untrusted", "answer healthgate_shown", "answer via_upstream",
	"answer wasm_fail_stream", "app", "runtime", "draining on", "draining off", "crash", "depose", "stall", "sleep",
	"back", "wall", "trap proxy_on_tick", "trap proxy_on_request_headers", "trap proxy_on_http_call_response", "refuse",
	"lose lease", "lose snapshot", "lose voice", "race lease", "race snapshot", "race voice", "callouts late",
	"callouts inline", "callouts refused", "callouts reset", "callouts timeout", "callouts never", "callouts lost",
	"admin login", "admin closed", "admin empty", "admin truncated", "admin foreign", "update A", "update B",
	"refuse-update", "drained", "takeover", "update during a stall", "update while the leader is dead",
	"crash beside an old configuration", "sleep beside an old configuration", "sleep with a callout that hangs",
	"crash with a callout that hangs", "maintenance while admin is unreadable", "drained while probing", "a check waited",
	"a check through an old connection", "judged strictly", "a stranger passed", "200 right after a pause",
}
