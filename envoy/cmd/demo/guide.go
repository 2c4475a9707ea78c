package main

import (
	"fmt"
	"strings"
)

// guide is what to try, as commands to copy.
func guide(s settings) string {
	return strings.NewReplacer(
		"ENVOY", fmt.Sprintf("http://127.0.0.1:%d", s.Port),
		"ADMIN", fmt.Sprintf("http://127.0.0.1:%d", s.AdminPort),
		"APP", fmt.Sprintf("http://127.0.0.1:%d", s.AppPort),
		"LAYER", "envoy/disk-layer "+s.RuntimeRoot,
	).Replace(`
Ready. In another terminal, in this folder:

  a health check          curl -i ENVOY/my-service/healthcheck
  the other endpoint      curl -i ENVOY/healthz
  the state of it all     open ENVOY/healthgate/status, or curl ENVOY/healthgate/status
  anything else           curl -i ENVOY/shop

  fail a node             curl -X POST 'APP/demo/node/inbound?status=500'
  let it hang             curl -X POST 'APP/demo/node/inbound?hang=true'
  make it well            curl -X POST APP/demo/node/inbound

  maintenance, by admin   curl -X POST 'ADMIN/runtime_modify?healthgate.maintenance=true'
                   off    curl -X POST 'ADMIN/runtime_modify?healthgate.maintenance='
  by disk, kept when      LAYER set healthgate.maintenance true
  Envoy restarts   off    LAYER delete healthgate.maintenance
  by route, at once       curl -X POST 'ADMIN/runtime_modify?healthgate.route_maintenance=100'
                   off    curl -X POST 'ADMIN/runtime_modify?healthgate.route_maintenance='
  drain Envoy             curl -X POST ADMIN/healthcheck/fail
                   off    curl -X POST ADMIN/healthcheck/ok

  not from the balancer: the check reaches the application, as any request does
    another source        curl -i --interface 127.0.0.2 ENVOY/my-service/healthcheck
    a forged source       curl -i -H 'X-Forwarded-For: 127.0.0.1' ENVOY/my-service/healthcheck

  what the app has seen   curl APP/demo/requests
  metrics                 curl -s ADMIN/stats/prometheus | grep ^healthgate_

Ctrl-C stops everything. Below: app = the application, log = Envoy's access log, envoy = Envoy and the plugin.

`)
}
