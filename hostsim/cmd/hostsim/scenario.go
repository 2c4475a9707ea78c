package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/healthgate/healthgate/hostsim"
)

// scenario is a file that "hostsim run" plays.
type scenario struct {
	// Wasm is the plugin's file, from the scenario's directory.
	Wasm string `yaml:"wasm"`
	// Config is the plugin's configuration, or ConfigFile the file it is in.
	Config     string `yaml:"config"`
	ConfigFile string `yaml:"config_file"`

	Workers       *int                `yaml:"workers"`
	Profile       string              `yaml:"profile"`
	FailurePolicy string              `yaml:"failure_policy"`
	Seed          uint64              `yaml:"seed"`
	Admin         string              `yaml:"admin"`
	RemoteAddress bool                `yaml:"use_remote_address"`
	Node          node                `yaml:"node"`
	Upstreams     map[string]response `yaml:"upstreams"`
	Runtime       map[string]string   `yaml:"runtime"`
	// LoadError is part of the error with which the plugin must be refused.
	LoadError string `yaml:"load_error"`

	Steps []step `yaml:"steps"`
}

type node struct {
	ID      string `yaml:"id"`
	Cluster string `yaml:"cluster"`
	Region  string `yaml:"region"`
	Zone    string `yaml:"zone"`
}

// response is what an upstream answers from now on.
type response struct {
	Status  int               `yaml:"status"`
	Body    string            `yaml:"body"`
	Headers map[string]string `yaml:"headers"`
	// Fault is refused, reset, timeout, never or inline; Delay comes before it, or
	// before the answer.
	Fault string        `yaml:"fault"`
	Delay time.Duration `yaml:"delay"`
}

// step is one thing that happens; what it expects is checked right after.
type step struct {
	Name     string              `yaml:"name"`
	Advance  time.Duration       `yaml:"advance"`
	Jump     time.Duration       `yaml:"jump_realtime"`
	Runtime  map[string]string   `yaml:"runtime"`
	Draining *bool               `yaml:"draining"`
	Upstream map[string]response `yaml:"upstreams"`
	Crash    *int                `yaml:"crash"`
	Request  *request            `yaml:"request"`
	Expect   *expectation        `yaml:"expect"`
	Metrics  map[string]uint64   `yaml:"metrics"`
	Log      []string            `yaml:"log"`
}

type request struct {
	Worker        int                       `yaml:"worker"`
	Method        string                    `yaml:"method"`
	Host          string                    `yaml:"host"`
	Path          string                    `yaml:"path"`
	Peer          string                    `yaml:"peer"`
	Headers       map[string]string         `yaml:"headers"`
	Body          string                    `yaml:"body"`
	FilterState   map[string]string         `yaml:"filter_state"`
	RouteMetadata map[string]map[string]any `yaml:"route_metadata"`
}

// expectation is what a reply must be; what is not given may be anything.
type expectation struct {
	Status    int               `yaml:"status"`
	Body      *string           `yaml:"body"`
	Headers   map[string]string `yaml:"headers"`
	Details   *string           `yaml:"details"`
	Forwarded *bool             `yaml:"forwarded"`
}

// loadScenario reads a file. Unknown fields are errors.
func loadScenario(path string) (*scenario, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &scenario{}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if s.Wasm == "" {
		return nil, fmt.Errorf("%s: wasm is missing", path)
	}
	if s.Config != "" && s.ConfigFile != "" {
		return nil, fmt.Errorf("%s: both config and config_file", path)
	}
	dir := filepath.Dir(path)
	s.Wasm = under(dir, s.Wasm)
	if s.ConfigFile != "" {
		text, err := os.ReadFile(under(dir, s.ConfigFile))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		s.Config = string(text)
	}
	return s, nil
}

func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// faults are the names of what may go wrong with an upstream.
var faults = map[string]hostsim.CalloutFaultKind{
	"": hostsim.CalloutLate, "refused": hostsim.CalloutConnectFailure, "reset": hostsim.CalloutReset,
	"timeout": hostsim.CalloutTimeout, "never": hostsim.CalloutNever, "inline": hostsim.CalloutInlineFailure,
}

// options are the scenario's for the host, with the upstreams it answers for.
func (s *scenario) options(servers map[string]*server) ([]hostsim.Option, error) {
	opts := []hostsim.Option{
		hostsim.PluginConfig(s.Config), hostsim.Seed(s.Seed), hostsim.UseRemoteAddress(s.RemoteAddress),
		hostsim.Node{ID: s.Node.ID, Cluster: s.Node.Cluster, Region: s.Node.Region, Zone: s.Node.Zone},
	}
	if s.Workers != nil {
		opts = append(opts, hostsim.Workers(*s.Workers))
	}
	if s.Admin != "" {
		opts = append(opts, hostsim.Admin(s.Admin))
	}
	if s.Profile != "" {
		p, ok := hostsim.ParseProfile(s.Profile)
		if !ok {
			return nil, fmt.Errorf("no profile %q", s.Profile)
		}
		opts = append(opts, p)
	}
	policy, err := parsePolicy(s.FailurePolicy)
	if err != nil {
		return nil, err
	}
	opts = append(opts, policy)
	for name, srv := range servers {
		if name == application {
			opts = append(opts, hostsim.Application(srv))
		} else {
			opts = append(opts, hostsim.Upstream(name, srv))
		}
	}
	return opts, nil
}

var errFailed = errors.New("a scenario failed")
