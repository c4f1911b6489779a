package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// mercy is how long what is told to end has for it, and serversMercy a test that shows
	// what its servers know and takes them down.
	mercy        = 30 * time.Second
	serversMercy = 4 * time.Minute
	// stubborn is how long is waited for what was killed.
	stubborn = 30 * time.Second
)

// quick is how a test ends that nobody waited for.
var quick = regexp.MustCompile(`^--- PASS: .*\(0\.\d\ds\)$`)

// once runs a step's command with its output in a log, and reads results from it. The
// reader is nil where the command did not start.
func (r *run) once(ctx context.Context, s step, name string) (*reader, error) {
	argv := s.run
	if s.root {
		argv = append(append([]string{}, r.sudo...), argv...)
	}
	log, err := os.OpenFile(filepath.Join(r.logs, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	where := s.dir
	if where == "" {
		where = s.log
	}
	rd := newReader(s.reads, where)
	if _, err := fmt.Fprintf(log, "$ %s\n", strings.Join(argv, " ")); err != nil {
		return nil, err
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = s.dir
	// A group of its own, so that all that it started ends with it; and it ends with this
	// process, whose main goroutine has a thread to itself.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = in, in
	err = cmd.Start()
	in.Close()
	if err != nil {
		return nil, err
	}
	beat := newPulse(r.out, name)
	defer beat.stop()
	ended := make(chan error, 1)
	go func() { ended <- r.endWith(ctx, cmd, out, s) }()
	var unwritten error
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if line != "" {
			text := rd.line(strings.TrimRight(line, "\n"))
			if _, err := fmt.Fprintln(log, text); err != nil && unwritten == nil {
				unwritten = err
			}
			beat.line(text)
			if s.reads == testText && ends.MatchString(text) && !quick.MatchString(text) {
				beat.print("   " + text)
			}
		}
		if err != nil {
			break
		}
	}
	err = <-ended
	rd.finish()
	if err != nil && s.reads == nothing {
		for _, line := range beat.last() {
			beat.print("   | " + line)
		}
	}
	return rd, errors.Join(err, unwritten)
}

// endWith waits for a process, and ends it with its group when the context does: it is told
// first, and killed when it does not listen. What it leaves behind is killed too; who keeps
// its output open all the same is not read any more.
func (r *run) endWith(ctx context.Context, cmd *exec.Cmd, out *os.File, s step) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	grace := mercy
	if s.servers {
		grace = serversMercy
	}
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		r.signal(cmd, s, syscall.SIGTERM)
		select {
		case err = <-ended:
		case <-time.After(grace):
			r.signal(cmd, s, syscall.SIGKILL)
			select {
			case err = <-ended:
			case <-time.After(stubborn):
				err = errors.New("it does not end, and cannot be killed")
			}
		}
		if err == nil {
			err = context.Cause(ctx) // whatever it says: it was ended
		}
	}
	r.signal(cmd, s, syscall.SIGKILL)
	_ = out.SetReadDeadline(time.Now().Add(5 * time.Second))
	return err
}

// signal sends a signal to the group of a process, as root where it runs as root.
func (r *run) signal(cmd *exec.Cmd, s step, sig syscall.Signal) {
	if err := syscall.Kill(-cmd.Process.Pid, sig); errors.Is(err, syscall.EPERM) && s.root && len(r.sudo) > 0 {
		kill := append(append([]string{}, r.sudo...), "kill", "-"+strconv.Itoa(int(sig)), "--", strconv.Itoa(-cmd.Process.Pid))
		_ = exec.Command(kill[0], kill[1:]...).Run() // nobody else can
	}
}
