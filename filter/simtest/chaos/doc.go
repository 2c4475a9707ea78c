// Package chaos looks for defects of the compiled plugin in random plans of faults, which hostsim plays.
// docs/reliability.md describes it.
package chaos
