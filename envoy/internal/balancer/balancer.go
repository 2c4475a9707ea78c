// Package balancer knows the health checks of load balancers: what each sends, how it judges the answer, and how long
// it takes to act on it. It says also why the plugin did not take a check for one of its own.
package balancer

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/healthgate/healthgate/filter/trust"
	"go.yaml.in/yaml/v3"
)

//go:embed balancers.yaml
var table []byte

// Balancer is a load balancer's health check; balancers.yaml says what each field means.
type Balancer struct {
	Name, Title, Request, Host, Path string

	Settings `yaml:",inline"`

	AtOnce   bool `yaml:"at_once"`
	Keeps    bool
	Follows  bool
	Provider string
	From     string
	Notes    []string
	Believed string
	Sources  []Source
}

// Settings are what the operator of a load balancer sets.
type Settings struct {
	Success            Statuses
	Interval, Timeout  time.Duration // 0: not known
	Unhealthy, Healthy int           // checks in a row; 0: not known
}

// Source is where something is said.
type Source struct{ URL, Read string }

// All returns all that are known. Where the checks come from, and where that is said, is taken from the provider.
var All = sync.OnceValue(func() (all []Balancer) {
	d := yaml.NewDecoder(bytes.NewReader(table))
	d.KnownFields(true)
	if err := d.Decode(&all); err != nil {
		panic("balancers.yaml: " + err.Error()) // it is part of the program
	}
	for i := range all {
		for _, p := range trust.Platforms {
			if b := &all[i]; p.Name == b.Provider {
				b.From = strings.Join(p.Ranges, ", ") + ": providers: [" + p.Name + "]"
				b.Sources = append(b.Sources, Source{p.Source, p.Read})
			}
		}
	}
	return all
})

// Names returns the names of all.
func Names() (names []string) {
	for _, b := range All() {
		names = append(names, b.Name)
	}
	return names
}

// Find returns a copy of the one with the name.
func Find(name string) (Balancer, bool) {
	for _, b := range All() {
		if b.Name == name {
			return b, true
		}
	}
	return Balancer{}, false
}

// Check returns the check of a URL as it is on the wire. source is the address that it comes from, as in a URL; host
// stands for the balancer's own where it is not empty.
func (b *Balancer) Check(u *url.URL, source, host string) string {
	if host == "" {
		ip := u.Hostname()
		if strings.Contains(ip, ":") {
			ip = "[" + ip + "]"
		}
		host = strings.NewReplacer("{address}", u.Host, "{ip}", ip, "{source}", source).Replace(b.Host)
	}
	request := strings.NewReplacer("{path}", u.RequestURI(), "{host}", host, "\n", "\r\n").Replace(b.Request)
	return request + "\r\n"
}

// Statuses are ranges of statuses, as "200-299,301".
type Statuses [][2]int

// ParseStatuses reads ranges of statuses.
func ParseStatuses(s string) (out Statuses, err error) {
	for part := range strings.SplitSeq(s, ",") {
		var from, to int
		if n, _ := fmt.Sscanf(part, "%3d-%3d", &from, &to); n == 1 {
			to = from
		}
		if from < 100 || to > 599 || from > to || part != text(from, to) {
			return nil, fmt.Errorf("%q is no status such as 200, and no range such as 200-399", part)
		}
		out = append(out, [2]int{from, to})
	}
	return out, nil
}

// UnmarshalText reads them from the table.
func (s *Statuses) UnmarshalText(text []byte) (err error) {
	*s, err = ParseStatuses(string(text))
	return err
}

func (s Statuses) String() string {
	var out []string
	for _, r := range s {
		out = append(out, text(r[0], r[1]))
	}
	return strings.Join(out, ",")
}

func text(from, to int) string {
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d-%d", from, to)
}

// Has reports whether a status is one of them.
func (s Statuses) Has(status int) bool {
	for _, r := range s {
		if r[0] <= status && status <= r[1] {
			return true
		}
	}
	return false
}

// Set takes what the operator has set; what is zero stays as it is.
func (b *Balancer) Set(s Settings) {
	b.Interval, b.Timeout = cmp.Or(s.Interval, b.Interval), cmp.Or(s.Timeout, b.Timeout)
	b.Unhealthy, b.Healthy = cmp.Or(s.Unhealthy, b.Unhealthy), cmp.Or(s.Healthy, b.Healthy)
	if s.Success != nil {
		b.Success = s.Success
	}
}
