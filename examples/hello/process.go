package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// exitCode ends the program with that code.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func env(context.Context, []string) error {
	all := os.Environ()
	slices.Sort(all)
	fmt.Println(strings.Join(all, "\n"))
	return nil
}

func id(context.Context, []string) error {
	groups, err := os.Getgroups()
	if err != nil {
		return err
	}
	host, err := os.Hostname()
	if err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	fmt.Printf("uid=%d gid=%d groups=%v host=%s\n", os.Getuid(), os.Getgid(), groups, host)
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "CapEff:") || strings.HasPrefix(line, "NoNewPrivs:") || strings.HasPrefix(line, "Seccomp:") {
			fmt.Print(line)
		}
	}
	return nil
}

func ps(context.Context, []string) error {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return err
	}
	for _, f := range files {
		line, err := os.ReadFile(f)
		if err != nil {
			continue // it has ended
		}
		fmt.Println(filepath.Base(filepath.Dir(f)), strings.ReplaceAll(strings.TrimRight(string(line), "\x00"), "\x00", " "))
	}
	return nil
}

func cat(_ context.Context, files []string) error {
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		os.Stdout.Write(data) // nobody to tell
	}
	return nil
}

func ls(_ context.Context, dirs []string) error {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			info, err := os.Stat(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			owner := info.Sys().(*syscall.Stat_t)
			fmt.Println(info.Mode(), owner.Uid, owner.Gid, e.Name())
		}
	}
	return nil
}

func write(_ context.Context, args []string) error {
	if len(args) < 1 {
		return errors.New("usage: write FILE TEXT [TEXT ...]")
	}
	return os.WriteFile(args[0], []byte(strings.Join(args[1:], " ")+"\n"), 0o644)
}

// sync prints the median.
func sync(_ context.Context, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: sync FILE N")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return fmt.Errorf("%q is no number of blocks", args[1])
	}
	f, err := os.Create(args[0])
	if err != nil {
		return err
	}
	defer os.Remove(args[0])
	defer f.Close()
	block, took := make([]byte, 4<<10), make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	fmt.Println(took[n/2])
	return nil
}

func echo(context.Context, []string) error {
	_, err := io.Copy(os.Stdout, os.Stdin)
	return err
}

func sleep(ctx context.Context, args []string) error {
	term := ctx.Done()
	if len(args) > 0 && args[0] == "-stubborn" {
		term, args = nil, args[1:]
	}
	end := make(<-chan time.Time)
	if len(args) > 0 {
		d, err := time.ParseDuration(args[0])
		if err != nil {
			return err
		}
		end = time.After(d)
	}
	fmt.Println("sleeping")
	select {
	case <-term:
		fmt.Println("told to end")
	case <-end:
	}
	return nil
}

func eat(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("eat MiB")
	}
	mib, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	food := make([]byte, mib<<20)
	for i := 0; i < len(food); i += 4096 {
		food[i] = 1 // memory counts when it is written
	}
	fmt.Println("ate", mib, "MiB")
	<-ctx.Done()
	return nil
}

// exit leaves its text where the pod's status shows it.
func exit(_ context.Context, args []string) error {
	if len(args) < 1 {
		return errors.New("exit CODE [TEXT...]")
	}
	code, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	text := strings.Join(args[1:], " ")
	fmt.Println(text)
	if err := os.WriteFile("/dev/termination-log", []byte(text), 0o644); err != nil {
		return err
	}
	return exitCode(code)
}
