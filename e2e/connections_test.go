//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/lab"
	"github.com/gantry-run/gantry/runtime/config"
)

// TestConnections logs in to a cluster's servers in each of the ways there are.
// Its user is not root, and its sudo asks for a password.
func TestConnections(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-connections", []string{"master-1"}, []string{"worker-1"}, nil)
	step := f.stepper(t)
	w := f.Workspace
	const password = "tr0ub4dor and 3 more"
	files := func(name string) string { return filepath.Join(filepath.Dir(f.Lab.KeyFile()), name) }
	// provider has it log in by these lines of HCL, with sudo's password if none is given.
	profiles := ""
	provider := func(lines ...string) error {
		block := strings.Join(lines, "\n")
		if !strings.Contains(block, "sudo_password") {
			block += fmt.Sprintf("\n  sudo_password = %q", password)
		}
		return os.WriteFile(filepath.Join(w.Dir, "login_override.tf"), fmt.Appendf(nil, "provider \"gantry\" {\n  ssh = {\n  user = %q\n%s\n  }\n%s\n}\n", lab.User, block, profiles), 0o600)
	}
	plan := func(ctx context.Context) (string, error) {
		out, err := w.Terraform(ctx, "plan", "-input=false", "-no-color", "-detailed-exitcode") // 2: there is a change
		return strings.Join(strings.Fields(out), " "), err
	}
	// works: every server was looked at, and is as it should be.
	works := func(lines ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := provider(lines...); err != nil {
				return err
			}
			out, err := plan(ctx)
			if err == nil && strings.Contains(out, "could not be observed") {
				err = errors.New(out)
			}
			return err
		}
	}
	// refused: the plan says so of both, and changes nothing.
	refused := func(why string, lines ...string) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := provider(lines...); err != nil {
				return err
			}
			out, err := plan(ctx)
			if err == nil && (!strings.Contains(out, why) || strings.Count(out, "Its state is kept as it was.") < 2) {
				err = fmt.Errorf("the plan does not say %q:\n%s", why, out)
			}
			return err
		}
	}
	secret := "  password = " + strconv.Quote(password)
	known := func(name string) string {
		return fmt.Sprintf("  host_key_policy = \"known_hosts\"\n  known_hosts_file = %q", files(name))
	}

	step("servers with a password, and an authority for certificates", func(ctx context.Context) error {
		if err := giveUser(ctx, f.Lab, password, f.Nodes()...); err != nil {
			return err
		}
		return prepareLogins(ctx, f, files)
	})
	master, err := f.Lab.Host("master-1")
	if err != nil {
		t.Fatal(err)
	}
	came := int64(0)
	step("by password and known_hosts; terraform is killed in mid-upload", func(ctx context.Context) (err error) {
		if err := provider(secret, known("known_hosts")); err != nil {
			return err
		}
		came, err = f.killInUpload(ctx, master)
		return err
	})
	step("apply: the upload goes on where it was", func(ctx context.Context) error {
		if err := os.RemoveAll(w.LogDir()); err != nil {
			return err
		}
		if err := f.Apply(ctx); err != nil {
			return err
		}
		sent, err := w.Sent("create ")
		if err != nil {
			return err
		}
		t.Logf("    %.1f MB had come to master-1, %.1f MB were sent then, and %.1f MB to worker-1", mega(came), mega(sent["master-1"]), mega(sent["worker-1"]))
		bundle, err := os.Stat(f.tools.Bundle)
		if err != nil {
			return err
		}
		// The worker takes the bundle from the master; what they are sent besides differs
		// by far less than a megabyte.
		if saved := bundle.Size() + sent["worker-1"] - sent["master-1"]; saved < came-1e6 || saved > came+1e6 {
			return fmt.Errorf("%d bytes had come and %d were saved", came, saved)
		}
		return summedUp(w)
	})
	step("nothing is left to plan", works(secret, known("known_hosts")))
	step("a server that known_hosts lacks", refused("host key unknown", secret, known("empty")))
	step("a wrong password of sudo", refused("permission denied", secret, `  sudo_password = "wrong"`))
	step("a certificate", works(fmt.Sprintf("  private_key_file = %q\n  certificate_file = %q", files("certified"), files("certified-cert.pub"))))
	step("its bare key", refused("login refused", fmt.Sprintf("  private_key_file = %q", files("certified"))))
	step("the agent", func(ctx context.Context) error {
		stop, err := startAgent(ctx, files("agent"), f.Lab.KeyFile())
		if err != nil {
			return err
		}
		defer stop()
		w.Env = []string{"SSH_AUTH_SOCK=" + files("agent")}
		return works("  agent = true")(ctx)
	})
	step("a profile that does not exist", func(ctx context.Context) error {
		pool := `resource "gantry_node_pool" "workers" { hosts = { for name, h in var.workers : name => merge(h, { ssh = { profile = "edge" } }) } }`
		if err := errors.Join(provider(secret), os.WriteFile(filepath.Join(w.Dir, "pool_override.tf"), []byte(pool), 0o600)); err != nil {
			return err
		}
		if _, err := plan(ctx); err == nil || !strings.Contains(strings.Join(strings.Fields(err.Error()), " "), `by the profile "edge"`) {
			return fmt.Errorf("the plan says %w", err)
		}
		return nil
	})
	step("a profile for the worker, whose user is locked out", func(ctx context.Context) error {
		if _, err := ssh(ctx, f.Lab, "worker-1", nil, "usermod -L -s /usr/sbin/nologin "+lab.User); err != nil {
			return err
		}
		profiles = fmt.Sprintf("  ssh_profiles = {\n    edge = { user = \"root\", private_key_file = %q, connect_timeout = \"5s\", keepalive = \"2s\", command_timeout = \"5m\" }\n  }", f.Lab.KeyFile())
		if err := provider(secret); err != nil {
			return err
		}
		before, err := f.Fingerprints(ctx, f.Nodes()...)
		if err != nil {
			return err
		}
		if err := f.Apply(ctx); err != nil {
			return err
		}
		after, err := f.Fingerprints(ctx, f.Nodes()...)
		if err != nil || after["worker-1"] != before["worker-1"] || after["master-1"] != before["master-1"] {
			return fmt.Errorf("another way to a server is no change of it: %v", err)
		}
		return works(secret)(ctx)
	})
	step("destroy leaves every server clean", f.Down)
}

// holdScript is in the place of cat while the bundle comes: of an upload it takes
// 20 MB and no more until it is removed, for a minute at most.
const holdScript = `#!/bin/sh
case $(readlink /proc/$$/fd/1) in */bundle.*.gantry-new) ;; *) exec /usr/bin/cat "$@" ;; esac
head -c 20000000
for i in $(seq 600); do [ -e "$0" ] || break; sleep 0.1; done
exec /usr/bin/cat
`

// killInUpload applies and kills terraform while the bundle is on its way to a host,
// which is held there: no race decides. It returns how many bytes came.
func (f *Flow) killInUpload(ctx context.Context, h *lab.Host) (came int64, err error) {
	if _, err := h.Run(ctx, "cat >/usr/local/sbin/cat <<'E'\n"+holdScript+"E\nchmod 0755 /usr/local/sbin/cat"); err != nil {
		return 0, err
	}
	const size = "stat -c %s " + config.BootstrapDir + "/bundle.*.gantry-new"
	become := func(command string) error {
		return Eventually(ctx, 30*time.Second, func(ctx context.Context) error { _, err := h.Run(ctx, command); return err })
	}
	_, err = f.Workspace.DisturbApply(ctx, h.Name, "binaries", "began", func(terraform *os.Process) error {
		return errors.Join(become("[ $("+size+") -ge 20000000 ]"), terraform.Kill())
	})
	if err != nil {
		return 0, err
	}
	// Once the provider's connection is gone too, the rest of what it sent comes.
	if err := become("! pgrep -u " + lab.User + " sshd"); err != nil {
		return 0, err
	}
	if _, err := h.Run(ctx, "rm /usr/local/sbin/cat"); err != nil {
		return 0, err
	}
	if err := become("! pgrep -f 'bundle[.].*gantry-new'"); err != nil {
		return 0, err
	}
	out, err := h.Run(ctx, size)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
}

// summedUp checks that log_dir tells a person what took how long where.
func summedUp(w *Workspace) error {
	files, err := filepath.Glob(filepath.Join(w.LogDir(), "*.txt"))
	if err != nil || len(files) != 1 {
		return fmt.Errorf("log_dir has the summaries %v (%w)", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	for _, want := range []string{` create cluster quickstart: \d+\.\d s, 1 hosts\n  master-1 \([0-9.]+\) +\d+\.\d s  sent \d+\.\d MB, received`, `\n    start etcd +\d+\.\d s`, ` create pool workers: `, `\n  worker-1 \(`} {
		if !regexp.MustCompile(want).Match(text) {
			return fmt.Errorf("the summary does not match %q:\n%s", want, text)
		}
	}
	return nil
}

func mega(n int64) float64 { return float64(n) / 1e6 }

// prepareLogins has the servers trust an authority, and makes the files that a
// login needs: a key with a certificate, and what known_hosts files say.
func prepareLogins(ctx context.Context, f *Flow, file func(string) string) error {
	for _, args := range [][]string{
		{"-q", "-t", "ed25519", "-N", "", "-f", file("authority")},
		{"-q", "-t", "ed25519", "-N", "", "-f", file("certified")},
		{"-q", "-s", file("authority"), "-I", "test", "-n", lab.User, "-V", "+1h", file("certified.pub")},
	} {
		if _, err := command(ctx, "", nil, nil, append([]string{"ssh-keygen"}, args...)...); err != nil {
			return err
		}
	}
	public, err := os.ReadFile(file("authority.pub"))
	if err != nil {
		return err
	}
	known := ""
	for _, n := range f.Nodes() {
		h, err := f.Lab.Host(n)
		if err != nil {
			return err
		}
		known += h.Address + " " + h.HostKey + "\n"
		const trust = "cat >/etc/ssh/authority.pub && echo 'TrustedUserCAKeys /etc/ssh/authority.pub' >/etc/ssh/sshd_config.d/authority.conf && systemctl reload ssh"
		if _, err := ssh(ctx, f.Lab, n, public, trust); err != nil {
			return err
		}
	}
	return errors.Join(os.WriteFile(file("known_hosts"), []byte(known), 0o600), os.WriteFile(file("empty"), nil, 0o600))
}

// startAgent runs an agent that holds a key.
func startAgent(ctx context.Context, socket, key string) (stop func(), err error) {
	agent := exec.CommandContext(ctx, "ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		agent.Process.Kill() //nolint:errcheck // it has ended
		agent.Wait()         //nolint:errcheck // it was killed
	}
	err = Eventually(ctx, 10*time.Second, func(ctx context.Context) error {
		_, err := command(ctx, "", []string{"SSH_AUTH_SOCK=" + socket}, nil, "ssh-add", "-q", key)
		return err
	})
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}
