// Package watch tests what operators watch: what a real Prometheus makes of a running demo, its alert rules, the
// Grafana dashboard, and the status page in a real browser. It needs Prometheus with promtool, and Chromium: `make
// test-watch` says how to get them.
package watch
