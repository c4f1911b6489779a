package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// facts are what a machine is at the moment, so that a log can be judged later.
func facts() string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "%-14s %s\n", name, strings.TrimSpace(value)) }
	line("date", time.Now().UTC().Format(time.RFC3339))
	line("commit", commitOf("."))
	line("machine", machine())
	line("kernel", said("uname", "-r"))
	line("go", said("go", "version"))
	line("load", load())
	line("memory", strings.Join(strings.Fields(said("sh", "-c", "free -m | sed -n 2p")), " "))
	line("disk", strings.Join(strings.Fields(said("sh", "-c", "df -h . | sed -n 2p")), " "))
	line("go cache", strings.Join(strings.Fields(said("sh", "-c", `du -sh "$(go env GOCACHE)"`)), " "))
	line("modules", strings.Join(strings.Fields(said("sh", "-c", `du -sh "$(go env GOMODCACHE)"`)), " "))
	labs, _ := filepath.Glob("/var/lib/gantry-lab/labs/*")
	line("labs", strings.Join(labs, " "))
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	line("loop devices", fmt.Sprint(len(loops)))
	return b.String()
}

// machine names the size of this one in a word.
func machine() string {
	gib := strings.Fields(said("sh", "-c", `awk '/MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo`) + " ?")[0]
	return fmt.Sprintf("%d-cores-%s-GiB", runtime.NumCPU(), gib)
}

// load is the machine's of the last minute.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	return strings.Fields(string(data))[0]
}

// said is what a command prints, or why it does not: facts are no reason to fail.
func said(argv ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = 5 * time.Second // a child of the shell may hold its output open
	out, err := cmd.Output()
	if err != nil {
		return "? (" + err.Error() + ")"
	}
	return strings.TrimSpace(string(out))
}
