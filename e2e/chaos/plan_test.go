package chaos

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// op is one thing that is done to Envoy, to what it asks, or to what an operator sets.
type op struct {
	at   time.Duration // since the plan began; later if the operations before take longer
	name string
	args []string
}

func (o op) String() string {
	return strings.Join(append([]string{o.at.Round(time.Millisecond).String(), o.name}, o.args...), " ")
}

func (o op) arg(i int) string {
	if i < len(o.args) {
		return o.args[i]
	}
	return ""
}

type plan []op

func (p plan) String() string {
	var b strings.Builder
	for _, o := range p {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}

func (p *plan) add(at time.Duration, text string) {
	words := strings.Fields(text)
	*p = append(*p, op{at, words[0], words[1:]})
}

const (
	minute = time.Minute
	storm  = 38 * time.Second // of each minute; what is left is calm, and in it all must become true again
)

// generate makes a plan of a seed. In each minute everything happens, in another order.
func generate(seed uint64, minutes int) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	var p plan
	between := func(from, to time.Duration) time.Duration { return from + time.Duration(r.Int64N(int64(to-from))) }
	// during lets something be so for a while.
	during := func(from, to, atLeast, atMost time.Duration, on, off string) {
		at := between(from, to)
		p.add(at, on)
		p.add(min(at+between(atLeast, atMost), to), off)
	}
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	for n := range minutes {
		begin := time.Duration(n) * minute
		at := begin + 2*time.Second
		things := []string{"crash leader", "crash leader", "crash one", "crash all", "sleep 13s", "kill", "updates"}
		r.Shuffle(len(things), func(i, k int) { things[i], things[k] = things[k], things[i] })
		for _, thing := range things {
			at += between(100*time.Millisecond, time.Second)
			switch thing {
			case "updates":
				for range 10 {
					p.add(at, "update")
					at += time.Second / 2
				}
			case "kill": // the key on disk is still there when Envoy is back
				p.add(at, "runtime disk true")
				p.add(at+time.Second, thing)
				at += 4 * time.Second
				p.add(at, "runtime disk")
			case "sleep 13s":
				p.add(at, thing)
				at += 13 * time.Second
			default:
				p.add(at, thing)
				at += time.Second
			}
		}
		end := begin + storm
		for range 2 {
			during(begin, end, time.Second, 13*time.Second, "admin "+pick("error", "login", "hang", "closed"), "admin ok")
			during(begin, end, time.Second, 9*time.Second,
				"app "+pick(probes...)+" "+pick("500", "503", "hang", "closed"), "app all 200")
		}
		for _, layer := range layers {
			during(begin, end, 2*time.Second, 9*time.Second, "runtime "+layer+" true", "runtime "+layer)
		}
		during(begin, end, time.Second, 4*time.Second, "draining on", "draining off")
		p.add(end, "admin ok")
		p.add(end, "app all 200")
		p.add(end, "calm")
		// Once all must be true again, it must follow each change.
		quiet := end + recovery
		p.add(quiet, pick("runtime "+pick(layers...)+" true", "app "+pick(probes...)+" 500"))
	}
	p.add(time.Duration(minutes)*minute, "end")
	slices.SortStableFunc(p, func(a, b op) int { return int(a.at - b.at) })
	return p
}
