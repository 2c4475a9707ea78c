package simtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/healthgate/healthgate/filter/config"
	"github.com/healthgate/healthgate/hostsim"
	"go.yaml.in/yaml/v3"
)

// checks returns a function that sends a block's requests and says what they got: in one line if all got the same.
func (p *player) checks(b *block) func() []string {
	request := hostsim.Request{
		Path: b.wordOr(check), Method: b.get("method", ""), Authority: b.get("host", ""),
		Local: b.get("local", ""), Before: b.number("before", 0),
	}
	for _, piece := range b.list("body") {
		text, err := strconv.Unquote(`"` + piece + `"`)
		b.must(err)
		request.Chunks = append(request.Chunks, []byte(text))
	}
	if state := b.get("filter-state", ""); state != "" {
		key, value, _ := strings.Cut(state, ":")
		request.FilterState = map[string]string{key: value}
	}
	if route := b.get("route", ""); route != "" {
		b.must(json.Unmarshal([]byte(route), &request.RouteMetadata))
	}
	workers := []int{b.number("worker", 0)}
	if _, one := b.Arg("worker"); !one {
		for i := range p.Workers() - 1 {
			workers = append(workers, i+1)
		}
	}
	peers, times, show, find := b.list("peer", balancer), b.number("times", 1), b.list("show"), b.get("find", "")
	headers := b.headers()
	return func() []string {
		var asked, answers []string
		for _, header := range headers {
			for _, peer := range peers {
				for _, worker := range workers {
					for range times {
						request := request
						request.Header, request.Peer = header, peer
						asked = append(asked, strings.TrimSuffix(fmt.Sprintf("worker %d from %s %v", worker, peer, header), " []"))
						answers = append(answers, described(p.Worker(worker).Do(&request), show, find))
					}
				}
			}
		}
		return agreed(asked, answers)
	}
}

// headers returns the headers of each request: those of the input, or one request for each value of a header.
func (b *block) headers() (headers []hostsim.Header) {
	input := b.Input
	if file := b.get("from", ""); file != "" {
		input = b.read(file)
	}
	lines := strings.Split(input, "\n")
	if name := b.get("each", ""); name != "" {
		for _, value := range lines {
			headers = append(headers, hostsim.Header{{name, value}})
		}
		return headers
	}
	var header hostsim.Header
	for _, line := range lines {
		if name, value, ok := strings.Cut(line, ":"); ok {
			header = append(header, [2]string{name, strings.TrimSpace(value)})
		}
	}
	return []hostsim.Header{header}
}

// described says what a client got: status, response code details and body, and on request headers and a text's number.
func described(r *hostsim.Reply, show []string, find string) string {
	const most = 100
	text := fmt.Sprintf("%d %s %q", r.Status, r.Details, r.Body[:min(most, len(r.Body))])
	if len(r.Body) > most {
		text += "…"
	}
	if r.Forwarded {
		text += ", forwarded"
		if r.Upstream != nil {
			text += " as " + r.Upstream.Path()
			for _, answer := range r.Upstream.Header.Values(config.GRPCAnswer) {
				text += " with " + answer
			}
		}
	}
	for _, name := range show {
		if r.Header.Has(name) {
			text += fmt.Sprintf("\n  %s: %s", name, strings.Join(r.Header.Values(name), ", "))
		} else {
			text += "\n  no " + name
		}
	}
	if find != "" {
		text += fmt.Sprintf("\n  %d times %q", strings.Count(string(r.Body), find), find)
	}
	return text
}

// agreed is the answer that all who were asked gave, or else what each one answered.
func agreed(asked, answers []string) []string {
	if len(slices.Compact(slices.Clone(answers))) == 1 {
		return answers[:1]
	}
	out := make([]string, len(asked))
	for i := range asked {
		out[i] = asked[i] + ": " + answers[i]
	}
	return out
}

// watch sends checks again and again, and tells when the answer changed, and the highest value of a metric.
func (p *player) watch(b *block) (out []string) {
	length, every, metric := b.duration(b.word()), b.duration(b.get("every", "1s")), b.get("metric", "")
	checks, before, most := p.checks(b), "", uint64(0)
	for passed := time.Duration(0); passed <= length; passed += every {
		if passed > 0 {
			p.Advance(every)
		}
		if now := strings.Join(checks(), "\n  "); now != before {
			out = append(out, fmt.Sprintf("after %v: %s", passed, now))
			before = now
		}
		value, _ := p.Metric(metric)
		most = max(most, value)
	}
	if len(out) == 1 {
		out[0] = "always: " + before
	}
	if metric != "" {
		out = append(out, fmt.Sprintf("%s at most %d", metric, most))
	}
	return out
}

// status asks each worker for the status document, and shows its summary and the checks that the block names.
func (p *player) status(b *block) []string {
	var asked, answers []string
	for i := range p.Workers() {
		r := p.Worker(i).Do(&hostsim.Request{Path: "/healthgate/status", Peer: "192.0.2.7:50000"})
		var all map[string]any
		b.must(json.Unmarshal(r.Body, &all))
		text := fmt.Sprintf("%d %s %v: %v", r.Status, r.Details, all["status"], all["output"])
		for _, name := range b.words {
			checks, _ := all["checks"].(map[string]any)
			shown := any(map[string]any{name: checks[name]})
			if name == "all" {
				shown = all
			}
			lines, err := yaml.Marshal(shown)
			b.must(err)
			text += "\n" + strings.TrimSpace(string(lines))
		}
		asked, answers = append(asked, p.Worker(i).Name()), append(answers, text)
	}
	b.words = nil
	return agreed(asked, answers)
}

// metrics shows the metrics whose names begin with the words.
func (p *player) metrics(b *block) (out []string) {
	for len(b.words) > 0 {
		prefix, before := b.word(), len(out)
		for _, m := range p.Metrics() {
			if strings.HasPrefix(m.Name, prefix) {
				out = append(out, fmt.Sprintf("%s %d", m.Name, m.Value))
			}
		}
		if len(out) == before {
			out = append(out, "no "+prefix)
		}
	}
	return out
}

// requests counts the requests that an upstream got since they were last counted.
func (p *player) requests(b *block) (out []string) {
	name, counts := b.word(), map[string]int{}
	all := p.UpstreamRequests(name)
	for _, r := range all[p.asked[name]:] {
		counts[r.Path()]++
	}
	p.asked[name] = len(all)
	for _, path := range slices.Sorted(maps.Keys(counts)) {
		out = append(out, fmt.Sprintf("%s %d", path, counts[path]))
	}
	if len(out) == 0 {
		return []string{"none"}
	}
	return out
}
