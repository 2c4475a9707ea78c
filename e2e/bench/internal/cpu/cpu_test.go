package cpu

import (
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

func TestOnOne(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Log("only Linux can keep processes on one CPU: there OnOne does nothing but call")
	}
	var out []byte
	if err := OnOne(func() (err error) {
		out, err = exec.Command("nproc").Output()
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "linux" && strings.TrimSpace(string(out)) != "1" {
		t.Errorf("nproc says %q", out)
	}
	failed := errors.New("no")
	if err := OnOne(func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("error %v, want %v", err, failed)
	}
	if out, err := exec.Command("nproc").Output(); err != nil || runtime.NumCPU() > 1 && strings.TrimSpace(string(out)) == "1" {
		t.Errorf("nproc says %q afterwards, error %v", out, err)
	}
}
