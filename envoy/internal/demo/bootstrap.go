package demo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/healthgate/healthgate/envoy"
)

// options are the places in bootstrap.yaml that differ from one Envoy to the next. A zero value keeps what is there.
type options struct {
	Port        int    // the listener, 10000
	AdminPort   int    // 9901
	AppPort     int    // the application, 7070
	Wasm        string // build/healthgate.wasm
	RuntimeRoot string // symlink_root of the disk runtime layer, build/runtime/current
}

// bootstrap returns bootstrap.yaml with the options put in.
func bootstrap(o options) (string, error) {
	var pairs []string
	var err error
	put := func(key, old, value string) {
		old = key + ": " + old
		if !strings.Contains(envoy.Bootstrap, old) {
			err = fmt.Errorf("envoy/bootstrap.yaml has no %q to put another value in", old)
		}
		if value != "" && value != "0" {
			pairs = append(pairs, old, key+": "+value)
		}
	}
	quoted := func(s string) string {
		if s == "" {
			return ""
		}
		return strconv.Quote(s)
	}
	put("port_value", "10000", strconv.Itoa(o.Port))
	put("port_value", "9901", strconv.Itoa(o.AdminPort))
	put("port_value", "7070", strconv.Itoa(o.AppPort))
	put("filename", "build/healthgate.wasm", quoted(o.Wasm))
	put("symlink_root", "build/runtime/current", quoted(o.RuntimeRoot))
	if err != nil {
		return "", err
	}
	return strings.NewReplacer(pairs...).Replace(envoy.Bootstrap), nil
}
