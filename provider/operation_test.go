package provider

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/ssh"
	"github.com/gantry-run/gantry/bootstrap/step"
)

func TestAnOperationIsSummedUpInLogDir(t *testing.T) {
	sshd, server := oneServer(t, "w1")
	dir := filepath.Join(t.TempDir(), "log")
	s := &session{logDir: dir, logins: map[string]ssh.Config{"": {PrivateKey: sshd.ClientKey}}}
	ctx, end := s.operation(context.Background(), "create pool p")
	e := s.engine(ctx, 0)
	h, err := e.Connect(ctx, server)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := h.Run(ctx, host.Command{Argv: []string{"true"}}); err != nil {
		t.Fatal(err)
	}
	e.Events(step.Event{Host: h.Name(), Step: "binaries", State: step.Began})
	e.Events(step.Event{Host: h.Name(), Step: "binaries", State: step.Done, Took: 1500 * time.Millisecond})
	e.Events(step.Event{Host: h.Name(), Step: "start", State: step.Failed, Took: time.Second, Err: &step.Error{Host: "w1", Step: "start", Err: errors.New("exit status 3\nand more")}})
	end()
	read := func(kind string) string {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(dir, "gantry-*."+kind))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	text := strings.Join(strings.Fields(read("txt")), " ")
	for _, want := range []string{"create pool p: 0.", "1 hosts", "w1 (127.0.0.1) 2.5 s sent ", " kB", "binaries 1.5 s", "start 1.0 s FAILED: exit status 3"} {
		if !strings.Contains(text, want) {
			t.Errorf("the summary lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "and more") || strings.Contains(text, "sent 0.0 kB") || strings.Count(text, "binaries") != 1 {
		t.Errorf("the summary is\n%s", text)
	}
	if lines := read("jsonl"); !strings.Contains(lines, `"operation":"create pool p"`) || !strings.Contains(lines, `"host":"w1 (127.0.0.1)","operation":"create pool p","received_bytes":`) {
		t.Errorf("the log is\n%s", lines)
	}
}
