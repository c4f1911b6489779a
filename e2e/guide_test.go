//go:build lab

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheFirstClusterGuide runs the commands of the guide as they are written, but for
// the server's address, as somebody who has run make bundle would.
func TestTheFirstClusterGuide(t *testing.T) {
	f := newFlow(t, "single-server", "e2e-guide", []string{"server"}, nil, nil)
	step := stepper(t)
	home, root := t.TempDir(), t.TempDir()
	step("a home with a key, the sources with what make built", func(context.Context) error {
		key, err := os.ReadFile(f.Lab.KeyFile())
		dist, err2 := filepath.Abs("../dist")
		if err := errors.Join(err, err2, os.Mkdir(filepath.Join(home, ".ssh"), 0o700), os.Mkdir(filepath.Join(home, "bin"), 0o700)); err != nil {
			return err
		}
		return errors.Join(
			os.WriteFile(filepath.Join(home, ".ssh", "id_ed25519"), key, 0o600),
			os.Symlink(f.tools.Terraform, filepath.Join(home, "bin", "terraform")),
			os.WriteFile(filepath.Join(home, "bin", "kubectl"), []byte("#!/bin/sh\nexec "+strings.Join(f.tools.Kubectl, " ")+" \"$@\"\n"), 0o700),
			os.Symlink(dist, filepath.Join(root, "dist")),
			os.CopyFS(filepath.Join(root, "examples"), os.DirFS(f.tools.Examples)))
	})
	sh := func(ctx context.Context, dir, script, answer string) (string, error) {
		cmd := exec.CommandContext(ctx, "sh", "-ec", script)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(answer)
		cmd.Env = append(os.Environ(), "HOME="+home, "PATH="+filepath.Join(home, "bin")+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", script, err, out)
		}
		return string(out), err
	}
	address := ""
	step("the guide's commands", func(ctx context.Context) error {
		server, err := f.Lab.Host("server")
		if err != nil {
			return err
		}
		address = server.Address
		commands, err := firstShell("../docs/guides/first-cluster.md")
		if err != nil {
			return err
		}
		commands, made := strings.CutPrefix(commands, "make bundle\n")
		if !made || strings.Count(commands, "10.0.0.11") != 1 {
			return fmt.Errorf("the guide does not begin with make bundle, or names another server:\n%s", commands)
		}
		out, err := sh(ctx, root, strings.Replace(commands, "10.0.0.11", address, 1), "yes\n")
		if err == nil && !strings.Contains(plainSpace(out), "server Ready control-plane") {
			err = errors.New("kubectl does not show the node:\n" + out)
		}
		return err
	})
	step("destroy leaves the server clean", func(ctx context.Context) error {
		out, err := sh(ctx, filepath.Join(root, "examples", "single-server"), "TF_CLI_CONFIG_FILE="+filepath.Join(root, "dist", "cli.tfrc")+" terraform destroy -auto-approve -var address="+address, "")
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return f.Clean(ctx)
	})
}

// firstShell is the first block of shell commands of a guide.
func firstShell(guide string) (string, error) {
	text, err := os.ReadFile(guide)
	if err != nil {
		return "", err
	}
	_, rest, found := bytes.Cut(text, []byte("```shell\n"))
	commands, _, ended := bytes.Cut(rest, []byte("```"))
	if !found || !ended {
		return "", errors.New(guide + " has no shell commands")
	}
	return string(commands), nil
}

func plainSpace(s string) string { return strings.Join(strings.Fields(s), " ") }
