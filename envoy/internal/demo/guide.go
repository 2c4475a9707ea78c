package demo

import (
	"fmt"
	"strings"
)

// guide is what to try, as commands to copy. A test runs each line that has one, and looks whether a health check then
// gets the status in the middle.
func guide(s settings) string {
	return strings.NewReplacer(
		"ENVOY", fmt.Sprintf("127.0.0.1:%d", s.Port),
		"ADMIN", fmt.Sprintf("127.0.0.1:%d", s.AdminPort),
		"APP", fmt.Sprintf("127.0.0.1:%d", s.AppPort),
		"LAYER", s.RuntimeRoot,
	).Replace(`
Ready. In another terminal, in this folder; the number is what a health check then gets:

  a health check        200  curl -iw '\n' ENVOY/my-service/healthcheck
  any other request          curl -iw '\n' ENVOY/shop

An operator's commands:

  out of rotation       503  build/healthgate maintenance on --admin ADMIN --for 10m --reason "disk swap"
  what checks get, why       build/healthgate status --admin ADMIN
  the same, kept open        build/healthgate status --admin ADMIN --watch
  back in rotation      200  build/healthgate maintenance off --admin ADMIN
  a page for a browser       http://ENVOY/healthgate/status

  out, kept over a      503  build/healthgate maintenance on --runtime-dir LAYER --admin ADMIN
  restart of Envoy      200  build/healthgate maintenance off --runtime-dir LAYER --admin ADMIN
  out, seen by the      503  build/healthgate maintenance on --route --admin ADMIN
  very next check       200  build/healthgate maintenance off --route --admin ADMIN

What else happens to an instance:

  a node fails          500  curl -X POST 'APP/demo/node/inbound?status=500'
  it hangs              503  curl -X POST 'APP/demo/node/inbound?hang=true'
  it is well again      200  curl -X POST APP/demo/node/inbound
  Envoy drains          503  curl -X POST ADMIN/healthcheck/fail
  no more               200  curl -X POST ADMIN/healthcheck/ok

Not from the load balancer: the check reaches the application, as any request does.

  another source             curl -iw '\n' --interface 127.0.0.2 ENVOY/my-service/healthcheck
  a forged source            curl -iw '\n' -H 'X-Forwarded-For: 127.0.0.1' ENVOY/my-service/healthcheck
  what the app has seen      curl APP/demo/requests
  metrics                    curl -s ADMIN/stats/prometheus | grep ^healthgate_

The text of the maintenance reply is maintenance.body in envoy/healthgate.yaml. This one is what the watchdog said that
healthgate replaces, hence the "file"; here it is the runtime key healthgate.maintenance.

Ctrl-C stops everything. Below: app = the application, envoy = Envoy and the plugin, log = Envoy's access log, without
the filter's own answers, of which there is one for each check. docs/watching.md has a log of the failed ones.

`)
}
