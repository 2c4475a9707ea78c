//go:build unix

package cli

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/healthgate/healthgate/envoy/internal/report"
	"github.com/healthgate/healthgate/envoy/must"
)

// kubectl is the command of that name that the test puts on the PATH: it knows the pods that are files of a folder,
// which hold the address that stands for them, and forwards to it.
func kubectl(folder string, args []string) error {
	pods, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	command, file := strings.Join(args, " "), ""
	switch {
	case strings.HasPrefix(command, "get pods --selector=app=shop --field-selector=status.phase=Running --output=name"):
		for _, pod := range pods {
			if strings.HasPrefix(pod.Name(), "shop-") {
				fmt.Println("pod/" + pod.Name())
			}
		}
		return nil
	case strings.HasPrefix(command, "get pods --selector=app=page "):
		fmt.Println("<html>login</html>")
		return nil
	case strings.HasPrefix(command, "get pods --selector=app=endless "):
		for err == nil {
			_, err = os.Stdout.WriteString(strings.Repeat("pod/shop-0\n", 1000))
		}
		return err
	case strings.HasPrefix(command, "get pods --selector=app=none "):
		return nil
	case strings.HasPrefix(command, "port-forward --address=127.0.0.1 pod/"):
		file = strings.TrimPrefix(args[2], "pod/")
	}
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil || args[len(args)-2] != ":15000" || args[len(args)-1] != "--namespace=shop" {
		return fmt.Errorf("kubectl %s: error from server", command)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	running := filepath.Join(folder, "running-"+strconv.Itoa(os.Getpid()))
	if err := os.WriteFile(running, nil, 0o600); err != nil {
		return err
	}
	if string(text) != "silent" {
		fmt.Printf("Forwarding from %s -> 15000\n", listener.Addr())
	}
	for {
		from, err := listener.Accept()
		if err != nil {
			return err
		}
		fmt.Println("Handling connection for 15000")
		to, err := net.Dial("tcp", string(text))
		if err != nil {
			return err
		}
		go func() { _, _ = io.Copy(to, from); _ = to.Close() }()
		go func() { _, _ = io.Copy(from, to); _ = from.Close() }()
	}
}

// Pods are named by their labels, and reached by forwarded ports, as many at once as --parallel says.
func TestSelector(t *testing.T) {
	if folder := os.Getenv("HEALTHGATE_TEST_KUBECTL"); folder != "" { // in the process that the script starts
		if err := kubectl(folder, flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	folder, path := t.TempDir(), t.TempDir()
	t.Setenv("PATH", path)
	const pods = " --namespace shop --admin-port 15000 --selector "
	says(t, 2, "status"+pods+"app=shop", "--selector: needs kubectl, which is not on the PATH")
	t.Setenv("HEALTHGATE_TEST_KUBECTL", folder)
	script := fmt.Sprintf("#!/bin/sh\nexec %q -test.run='^TestSelector$' -- \"$@\"\n", os.Args[0])
	must.Do(t, os.WriteFile(filepath.Join(path, "kubectl"), []byte(script), 0o700))
	admins, _ := newFleet(t, 5)
	for i, a := range admins {
		name := filepath.Join(folder, fmt.Sprintf("shop-%d", i))
		must.Write(t, name, strings.TrimPrefix(a.URL, "http://"))
	}

	says(t, 2, "status"+pods+"app=none", "--selector: no running pod has app=none")
	says(t, 1, "status"+pods+"app=page", `--selector: kubectl writes "<html>login</html>", which is no pod`)
	says(t, 1, "status"+pods+"app=endless", "--selector: kubectl writes without an end")
	says(t, 1, "status"+pods+"tier=a", "--selector: kubectl: kubectl get pods --selector=tier=a", "error from server")
	says(t, 2, "status --namespace shop", "--namespace: is for --selector")
	says(t, 2, "shutdown --quit"+pods+"app=shop", "--quit: kubectl does not tell whether Envoy has ended")
	says(t, 0, "maintenance on --parallel 2"+pods+"app=shop", "pod/shop-4  on", "\n5 on\n")
	out := says(t, 0, "status -o json"+pods+"app=shop")
	var reports []report.Report
	if err := json.Unmarshal([]byte(out), &reports); err != nil || len(reports) != 5 || reports[3].Envoy != "pod/shop-3" {
		t.Errorf("%v, %+v", err, reports)
	}
	shows, end := serve(t, pods+"app=shop")
	gone := filepath.Join(folder, "shop-4")
	shows("", "<title>5 in maintenance or draining ·", "shop-5<")
	must.Do(t, os.Rename(gone, filepath.Join(folder, "shop-5")))
	shows("", "<title>5 in maintenance or draining ·", "shop-4<") // as after a rollout
	must.Do(t, os.Rename(filepath.Join(folder, "shop-5"), gone))
	end()
	admins[2].Close()
	says(t, 1, "maintenance off"+pods+"app=shop", "\n4 off, 1 failed: pod/shop-2\n")
	for i, a := range admins {
		if a.Out() != (i == 2) {
			t.Errorf("%d: out: %t", i, a.Out())
		}
	}
	must.Write(t, filepath.Join(folder, "shop-silent"), "silent")
	says(t, 1, "status"+pods+"app=shop", "6 Envoys: 2 could not be asked", "pod/shop-silent  no answer in time")

	running, err := filepath.Glob(filepath.Join(folder, "running-*"))
	if err != nil || len(running) < 15 {
		t.Fatalf("%d forwards, %v", len(running), err)
	}
	for _, name := range running {
		pid := must.Get(strconv.Atoi(name[strings.LastIndex(name, "-")+1:]))(t)
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("a forward still runs")
		}
	}
}
