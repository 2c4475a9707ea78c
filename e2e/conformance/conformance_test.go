package conformance

import (
	"flag"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
	"github.com/healthgate/healthgate/hostsim"
)

// cases chooses some, to look at one that differs.
var cases = flag.String("cases", "", "run only the cases whose names match this regular expression")

// atOnce is how many cases one Envoy runs at a time. They share nothing but its threads, and every third one waits
// seconds for an answer that never comes.
const atOnce = 32

// perEnvoy is how many cases one Envoy gets: the plugins of a thousand take 13 GB, and minutes to start, in which real
// time makes others answer.
const perEnvoy = 300

// envoysAtOnce is how many Envoys run at a time that have one case each. What takes their time is to start.
const envoysAtOnce = 4

func TestConformance(t *testing.T) {
	version := envoyVersion(t)
	profile := profileOf(version)
	chosen := regexp.MustCompile(*cases)
	together := map[int][]*run{} // by the number of workers
	var leaving []*run           // those whose listener is taken away
	var single []*run            // those that end the process, or have it to themselves
	var batches [][]*run
	for _, c := range corpus(t) {
		if !chosen.MatchString(c.Name) {
			continue
		}
		r := newRun(t, c, expected(t, c, profile))
		switch {
		case c.Alone, slices.Equal(r.want, []string{theEnd}):
			single = append(single, r)
		case c.Shutdown:
			leaving = append(leaving, r)
		default:
			together[c.workers()] = append(together[c.workers()], r)
		}
	}
	for _, workers := range slices.Sorted(maps.Keys(together)) {
		batches = slices.AppendSeq(batches, slices.Chunk(together[workers], perEnvoy))
	}
	batches = append(batches, leaving)
	for _, runs := range batches {
		playAll(t, runs)
	}
	slots := make(chan struct{}, envoysAtOnce)
	var playing sync.WaitGroup
	for _, r := range single {
		slots <- struct{}{}
		playing.Go(func() {
			defer func() { <-slots }()
			playAll(t, []*run{r})
		})
	}
	playing.Wait()
	report(t, version, profile, append(slices.Concat(batches...), single...))
}

func expected(t *testing.T, c *Case, profile hostsim.Profile) []string {
	t.Helper()
	wasm := must.Get(os.ReadFile(module(t, c)))(t)
	return c.lines(simulate(t, c, wasm, profile))
}

// playAll runs cases on one Envoy.
func playAll(t *testing.T, runs []*run) {
	t.Helper()
	if len(runs) == 0 {
		return
	}
	config := bootstrap(t, runs, func(c *Case) string { return module(t, c) })
	// A busy machine may take a second between two updates that follow each other.
	config.Args = append(config.Args, "--drain-time-s", "4")
	j := &journal{envoy: envoytest.Launch(t, config, runs[0].c.workers())}
	j.ready(t)
	slots := make(chan struct{}, atOnce)
	var playing sync.WaitGroup
	for _, r := range runs {
		r.journal = j
		slots <- struct{}{}
		playing.Add(1)
		go func() {
			defer playing.Done()
			defer func() { <-slots }()
			r.play(t)
		}()
	}
	playing.Wait()
	if runs[0].c.Shutdown {
		runs[0].listeners.remove(t)
		for _, r := range runs {
			r.async.Wait()
			r.wait(envoytest.Limit, r.asWanted)
		}
	}
	if j.gone() && !slices.Equal(runs[0].want, []string{theEnd}) {
		t.Fatalf("Envoy ended in the midst of the cases; the end of its log:\n%s", j.envoy.Log.Tail(300))
	}
	for _, r := range runs { // once more after all are over, so that what came late counts too
		r.got = r.c.lines(r.result())
	}
	j.envoy.Kill() // before its idle timeout ends streams that wait
}

// report compares.
func report(t *testing.T, version string, profile hostsim.Profile, runs []*run) {
	t.Helper()
	count := map[verdict]int{}
	for _, r := range runs {
		v, problem := judge(r.c.Name, r.want, r.got)
		count[v]++
		if problem != "" {
			t.Error(problem)
		}
	}
	t.Logf("Envoy %s, hostsim %s: %d cases compared, %d identical, %d with listed differences, %d different",
		version, profile, len(runs), count[identical], count[asListed], count[different])
}

// envoyVersion is what the binary says it is.
func envoyVersion(t *testing.T) string {
	t.Helper()
	out := binaryVersion(t)
	parts := strings.Split(out, "/")
	if len(parts) < 2 {
		t.Fatalf("envoy --version says %q", out)
	}
	return parts[1]
}

// profileOf is hostsim's profile for a version.
func profileOf(version string) hostsim.Profile {
	minor, _ := strconv.Atoi(strings.Split(version+".0", ".")[1])
	if minor >= 40 {
		return hostsim.Envoy140
	}
	return hostsim.Envoy136
}
