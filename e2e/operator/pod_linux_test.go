package operator

import (
	"debug/elf"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/healthgate/healthgate/e2e/internal/app"
	"github.com/healthgate/healthgate/e2e/internal/envoytest"
	"github.com/healthgate/healthgate/envoy/must"
)

// TestPodEnds plays the kubelet when a pod ends, a load balancer that checks the pod, and users, some of whose requests
// take long. With the command as preStop hook no request fails; by the signal alone, some do.
func TestPodEnds(t *testing.T) {
	t.Parallel()
	for name, hook := range map[string]bool{"by the hook": true, "by the signal alone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, other := start(t), app.Start(t)
			for _, a := range []*app.App{i.app, other} {
				release := a.Hold("/work")
				envoytest.Repeat(t, 700*time.Millisecond, func() {
					release()
					release = a.Hold("/work")
				})
			}
			balancer := balance(t, i)
			var failed, served atomic.Int64
			var users sync.WaitGroup
			client := &http.Client{Timeout: envoytest.Limit, Transport: &http.Transport{MaxIdleConnsPerHost: 8}}
			stop := make(chan struct{})
			for range 8 {
				users.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						to, toPod := envoytest.Loopback(other.Port), balancer.in.Load()
						if toPod {
							to = i.listen
						}
						if err := use(client, "http://"+to+"/work"); err != nil {
							failed.Add(1)
							if hook {
								t.Errorf("to the pod %v: %v", toPod, err)
							}
						} else if toPod {
							served.Add(1)
						}
					}
				})
			}
			envoytest.Eventually(t, envoytest.Limit, "the pod serves", func() error {
				if n := served.Load(); n < 20 {
					return fmt.Errorf("%d requests", n)
				}
				return nil
			})
			if hook {
				if out, err := preStop(t, i.admin); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
				if balancer.in.Load() {
					t.Error("the hook has ended, and the load balancer sends requests")
				}
				i.app.Vanish() // the application gets its signal now
			}
			i.envoy.Stop()
			envoytest.Eventually(t, envoytest.Limit, "out of rotation", func() error {
				if balancer.in.Load() {
					return fmt.Errorf("in")
				}
				return nil
			})
			close(stop)
			users.Wait()
			if !hook && failed.Load() == 0 {
				t.Error("no request failed: this test would not see one")
			}
		})
	}
}

func use(client *http.Client, url string) error {
	a, err := envoytest.Read(client.Get(url))
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("answered %v", a)
	}
	return err
}

// balancer checks an instance, and takes it out when three checks in a row have failed.
type balancer struct{ in atomic.Bool }

func balance(t *testing.T, i *instance) *balancer {
	b, failed := &balancer{}, 0
	b.in.Store(true)
	envoytest.Repeat(t, 200*time.Millisecond, func() {
		if status, _, err := i.get(); err != nil || status != http.StatusOK {
			failed++
		} else {
			failed = 0
		}
		b.in.Store(failed < 3)
	})
	return b
}

// preStop runs the command as a container's runtime does in an image that holds nothing but it: no shell, no library,
// and no environment. A container of its own takes root; without it, the file system stays the machine's.
func preStop(t *testing.T, admin string) (string, error) {
	t.Helper()
	folder := t.TempDir()
	path := filepath.Join(folder, "healthgate")
	build := exec.Command("go", "build", "-o", path, "./envoy/cmd/healthgate")
	build.Dir, build.Env = envoytest.Root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	file := must.Get(elf.Open(path))(t)
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); len(libraries) > 0 || err != nil {
		t.Errorf("it needs %v, %v", libraries, err)
	}
	cmd := exec.CommandContext(t.Context(), path, "shutdown", "--admin", admin, "--quiet", "2s")
	cmd.Env, cmd.Dir = []string{}, "/"
	if os.Getuid() == 0 {
		cmd.Path, cmd.SysProcAttr = "/healthgate", &syscall.SysProcAttr{Chroot: folder}
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
