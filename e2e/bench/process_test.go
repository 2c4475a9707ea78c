package bench

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// tree returns a process and those that descend from it, such as gunicorn's workers.
func tree(pid int) []int {
	all := []int{pid}
	for _, text := range read("/proc/%d/task/*/children", pid) {
		for child := range strings.FieldsSeq(text) {
			if n, err := strconv.Atoi(child); err == nil {
				all = append(all, tree(n)...)
			}
		}
	}
	return all
}

// read returns the texts of the files of a process.
func read(pattern string, pid int) []string {
	paths, _ := filepath.Glob(fmt.Sprintf(pattern, pid)) // the pattern is well formed
	var texts []string
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil { // a thread may have ended
			texts = append(texts, string(text))
		}
	}
	return texts
}

// cpuTime returns the CPU time that a server has used, user space and kernel, to the nanosecond: the first field of
// /proc/PID/task/TID/schedstat (https://docs.kernel.org/scheduler/sched-stats.html).
func cpuTime(t testing.TB, pid int) time.Duration {
	return time.Duration(sum(t, pid, "/proc/%d/task/*/schedstat", regexp.MustCompile(`^(\d+) `)))
}

// memory returns the bytes that a server holds in RAM. Each page counts for as much as the server's share in it (Pss):
// gunicorn's worker has most of its pages from its parent.
func memory(t testing.TB, pid int) float64 {
	return 1024 * float64(sum(t, pid, "/proc/%d/smaps_rollup", regexp.MustCompile(`(?m)^Pss: +(\d+) kB$`)))
}

// sum adds up the numbers in files of a process and of its descendants.
func sum(t testing.TB, pid int, files string, number *regexp.Regexp) (total int64) {
	t.Helper()
	for _, one := range tree(pid) {
		for _, text := range read(files, one) {
			if m := number.FindStringSubmatch(text); m != nil {
				n := must.Get(strconv.ParseInt(m[1], 10, 64))(t)
				total += n
			}
		}
	}
	if total == 0 {
		t.Fatalf("there is nothing in %s: the benchmark needs Linux, and the process has to run", fmt.Sprintf(files, pid))
	}
	return total
}

// lastCPU is the CPU that a server shares with its client: the last of those that may be used, since the first ones
// have most of the interrupts.
func lastCPU(t testing.TB) string {
	t.Helper()
	allowed := regexp.MustCompile(`Cpus_allowed_list:.*?(\d+)\n`)
	for _, text := range read("/proc/%d/status", os.Getpid()) {
		if m := allowed.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	t.Fatal("there is no Cpus_allowed_list in /proc: the benchmark needs Linux")
	return ""
}

// wrk sends requests for a second: from one thread on this CPU, through 8 connections, each of which sends the next
// request when it has the answer to the last.
func wrk(t testing.TB, cpu, url string) (requests int, perSecond float64, err error) {
	cmd := exec.CommandContext(t.Context(), "taskset", "-c", cpu, "wrk", "-t1", "-c8", "-d1s", url)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return parseWrk(string(out))
}

var (
	answered = regexp.MustCompile(`(?m)^\s*([1-9]\d*) requests in`)
	rate     = regexp.MustCompile(`(?m)^Requests/sec:\s+([\d.]+)`)
	failures = regexp.MustCompile(`(?m)^\s*(Non-2xx or 3xx responses: .*|Socket errors: .*)$`)
)

// parseWrk reads what wrk prints. An answer that is not 2xx or 3xx, or a missing one, is an error: a server that fails
// requests must not look fast.
func parseWrk(out string) (requests int, perSecond float64, err error) {
	if failed := failures.FindStringSubmatch(out); failed != nil {
		return 0, 0, errors.New(failed[1])
	}
	count, each := answered.FindStringSubmatch(out), rate.FindStringSubmatch(out)
	if count == nil || each == nil {
		return 0, 0, fmt.Errorf("wrk said something else than usual: %q", out)
	}
	requests, err = strconv.Atoi(count[1])
	if err != nil {
		return 0, 0, err
	}
	perSecond, err = strconv.ParseFloat(each[1], 64)
	return requests, perSecond, err
}

// What a process uses is seen, which processes it started, and on which CPU one of those has to stay.
func TestProcess(t *testing.T) {
	t.Parallel()
	before := cpuTime(t, os.Getpid())
	for deadline := time.Now().Add(time.Minute); cpuTime(t, os.Getpid()) < before+20*time.Millisecond; {
		if time.Now().After(deadline) {
			t.Fatal("work does not show in the CPU time")
		}
	}
	if m := memory(t, os.Getpid()); m < 1<<20 {
		t.Errorf("this process holds %.0f bytes", m)
	}
	child, _ := envoytest.Program(t, exec.Command("sleep", "600"))
	if all := tree(os.Getpid()); !slices.Contains(all, child.PID()) {
		t.Errorf("%d is not in %v", child.PID(), all)
	}
	pin(t, lastCPU(t), child.PID())
	if want := "Cpus_allowed_list:\t" + lastCPU(t) +
		"\n"; !strings.Contains(read("/proc/%d/status", child.PID())[0], want) {
		t.Errorf("%d may run on other CPUs than %s", child.PID(), lastCPU(t))
	}
}

const said = `Running 1s test @ http://127.0.0.1:13000/
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   290.71us  201.37us   9.53ms   97.91%
    Req/Sec    28.42k     1.35k   30.52k    76.19%
  59392 requests in 2.10s, 7.65MB read
Requests/sec:  28278.46
Transfer/sec:      3.64MB
`

func TestParseWrk(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ old, changed, want string }{
		{"", "", "59392 28278.46 <nil>"},
		{"Requests/sec:", "  Non-2xx or 3xx responses: 12\nRequests/sec:", "0 0 Non-2xx or 3xx responses: 12"},
		{"Requests/sec:", "  Socket errors: connect 0, read 3\nRequests/sec:", "0 0 Socket errors: connect 0, read 3"},
		{"59392 requests", "0 requests", "0 0 wrk said something else"},
		{"Requests/sec:", "Requests:", "0 0 wrk said something else"},
	} {
		n, perSecond, err := parseWrk(strings.Replace(said, test.old, test.changed, 1))
		if got := fmt.Sprint(n, perSecond, err); !strings.HasPrefix(got, test.want) {
			t.Errorf("%q in place of %q: %s, want %s", test.changed, test.old, got, test.want)
		}
	}
}
