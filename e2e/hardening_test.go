//go:build lab

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gantry-run/gantry/runtime/config"
)

// exposure is the most that systemd-analyze security may say of a unit, of 10. That of
// the container runtime is what its containers may ask for.
var exposure = map[config.Component]float64{
	config.Etcd: 2, config.APIServer: 2, config.ControllerManager: 2, config.Scheduler: 2,
	config.Proxy: 2.2, config.DNS: 2, config.Kubelet: 7.5, config.Containerd: 10,
}

// capabilities are the effective ones of each process, as the kernel writes them;
// those that are not here have what mounting takes.
var capabilities = map[config.Component]string{
	config.Etcd: "0000000000000000", config.APIServer: "0000000000000000", config.ControllerManager: "0000000000000000", config.Scheduler: "0000000000000000",
	config.Proxy: "0000000000001000" /* NET_ADMIN */, config.DNS: "0000000000000400", /* NET_BIND_SERVICE */
}

// TestHostsHoldWhatProcessesMay looks at the processes of a server from its root: what
// each may write and see, and that what it keeps is read by nobody else.
func TestHostsHoldWhatProcessesMay(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-hardening", []string{"master-1", "master-2"}, []string{"worker-1"}, nil)
	step := f.stepper(t)
	key := newSigningKey(t)
	step("a bundle that is not signed is refused before a server is reached", func(ctx context.Context) error { return f.refusesUnsigned(ctx, key) })
	step("apply a signed one", func(ctx context.Context) error {
		if err := key.sign(f.tools.Bundle); err != nil {
			return err
		}
		return f.Apply(ctx)
	})
	step("units are exposed no more than they have to be", f.unitsAreConfined)
	step("processes cannot write beyond their directories", f.processesCannotWrite)
	step("cluster DNS is not root, and reads its own key alone", f.dnsIsNotRoot)
	step("an application comes up and is reached by its name", func(ctx context.Context) error { return f.Cluster.Deploy(ctx, f.Workers...) })
	const marker = "hush-0f3a9c"
	step("a Secret is in no file of etcd as it is", func(ctx context.Context) error {
		if _, err := f.Cluster.Kubectl(ctx, "create", "secret", "generic", "hushed", "--from-literal=word="+marker); err != nil {
			return err
		}
		return f.encryptedBy(ctx, marker, "key-0")
	})
	step("requests are logged, for root alone, without what is in a Secret", func(ctx context.Context) error { return f.requestsAreLogged(ctx, marker) })
	step("the key is replaced, and what it wrote is read", func(ctx context.Context) error {
		if err := f.setAPIServer(`{ encryption_key_rotation = 1, audit = { policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: None}]\n" } }`); err != nil {
			return err
		}
		if err := f.Apply(ctx); err != nil {
			return err
		}
		out, err := f.Cluster.Kubectl(ctx, "get", "secret", "hushed", "-o", `go-template={{.data.word | base64decode}}`)
		if err != nil || out != marker {
			return fmt.Errorf("the Secret is %q: %w", out, err)
		}
		return f.encryptedBy(ctx, marker, "key-1")
	})
	step("nothing is left to plan, and the state holds no key", func(ctx context.Context) error {
		return errors.Join(f.Unchanged(ctx), f.noSecretInState(ctx))
	})
	step("a policy that is none is refused by the plan", func(ctx context.Context) error {
		if err := f.setAPIServer(`{ audit = { policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: All}]\n" } }`); err != nil {
			return err
		}
		return errors.Join(f.planRefuses(ctx, `"All" is none of`), f.setAPIServer("null"))
	})
}

// planRefuses wants a plan to fail, and to say each of these.
func (f *Flow) planRefuses(ctx context.Context, says ...string) error {
	out, err := f.Workspace.Terraform(ctx, "plan", "-input=false", "-no-color")
	if err == nil {
		return fmt.Errorf("the plan is made: %s", out)
	}
	for _, want := range says {
		if !strings.Contains(plainSpace(err.Error()), want) {
			return fmt.Errorf("it does not say %q: %w", want, err)
		}
	}
	return nil
}

// setAPIServer gives the cluster of the example other settings.
func (f *Flow) setAPIServer(hcl string) error {
	file := filepath.Join(f.Workspace.Dir, "main.tf")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := regexp.MustCompile(`(?m)^  api_server = .*\n`).ReplaceAllString(string(data), "")
	text = strings.Replace(text, "  masters = var.masters\n", "  masters = var.masters\n  api_server = "+hcl+"\n", 1)
	return os.WriteFile(file, []byte(text), 0o600)
}

// onMasters runs a command on each master.
func (f *Flow) onMasters(ctx context.Context, command string, look func(out string) error) error {
	for _, name := range f.Masters {
		h, err := f.Lab.Host(name)
		if err != nil {
			return err
		}
		out, err := h.Run(ctx, command)
		if err == nil {
			err = look(string(out))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

var exposureLine = regexp.MustCompile(`exposure level for gantry-([a-z-]+)\.service: ([0-9.]+)`)

func (f *Flow) unitsAreConfined(ctx context.Context) error {
	units := append(config.MasterComponents(), config.WorkerComponents()...)
	var names []string
	for _, c := range units {
		names = append(names, c.Unit())
	}
	return f.onMasters(ctx, "for u in "+strings.Join(names, " ")+"; do systemd-analyze security --no-pager $u | tail -1; done", func(out string) error {
		found := exposureLine.FindAllStringSubmatch(out, -1)
		if len(found) != len(units) {
			return fmt.Errorf("%d of %d units are told of: %s", len(found), len(units), out)
		}
		for _, m := range found {
			level, err := strconv.ParseFloat(m[2], 64)
			if most := exposure[config.Component(m[1])]; err != nil || level > most {
				return fmt.Errorf("%s has exposure %s, more than %.1f: %w", m[1], m[2], most, err)
			}
		}
		return nil
	})
}

// outside are directories that none of the confined processes writes to.
var outside = []string{"/etc/gantry", "/etc/gantry/pki", "/opt/gantry/bin", "/var/lib/gantry/bootstrap", "/usr/bin", "/etc/systemd/system", "/var/log", "/root", "/home", "/proc/sys/kernel", "/sys/fs/cgroup"}

func (f *Flow) processesCannotWrite(ctx context.Context) error {
	// Root with all capabilities in the mounts of a process: what it cannot write there,
	// the process cannot.
	const script = `unit=$1; shift
pid=$(systemctl show -p MainPID --value $unit)
sed -n 's/^CapEff:\t/caps /p' /proc/$pid/status
for d; do nsenter -t $pid -m sh -c ': >"$1/gantry-test" 2>/dev/null && { rm -f "$1/gantry-test"; echo "writes $1"; }' sh "$d"; done; true`
	for c, caps := range capabilities {
		wants, dirs := []string{"caps " + caps}, slices.Clone(outside)
		switch c {
		case config.Etcd:
			dirs, wants = append(dirs, config.EtcdDataDir), append(wants, "writes "+config.EtcdDataDir)
		case config.APIServer:
			dir := filepath.Dir(config.AuditLogFile)
			dirs, wants = append(dirs, config.EtcdDataDir, dir), append(wants, "writes "+dir)
		default:
			dirs = append(dirs, config.EtcdDataDir, filepath.Dir(config.AuditLogFile))
		}
		err := f.onMasters(ctx, "set -- "+c.Unit()+" "+strings.Join(dirs, " ")+"\n"+script, func(out string) error {
			if got := strings.Split(strings.TrimSpace(out), "\n"); !slices.Equal(got, wants) {
				return fmt.Errorf("%s: %q, want %q", c, got, wants)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Flow) dnsIsNotRoot(ctx context.Context) error {
	const script = `pid=$(systemctl show -p MainPID --value gantry-dns.service)
uid=$(awk '/^Uid:/ {print $2}' /proc/$pid/status); gid=$(awk '/^Gid:/ {print $2}' /proc/$pid/status)
echo "uid $uid"
for f in /etc/gantry/pki/*.key /etc/gantry/pki/*.pem /etc/gantry/pki/*.yaml; do nsenter -t $pid -m -S $uid -G $gid cat "$f" >/dev/null 2>&1 && echo "reads $f"; done; true`
	return f.onMasters(ctx, script, func(out string) error {
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if uid, _ := strings.CutPrefix(lines[0], "uid "); uid == "0" || uid == "" || len(lines) != 2 || lines[1] != "reads "+config.DNSCert.KeyFile() {
			return fmt.Errorf("cluster DNS: %q", lines)
		}
		return nil
	})
}

// encryptedBy checks that no file of etcd holds the word, that one holds what the key
// wrote, and that the masters know no other key.
func (f *Flow) encryptedBy(ctx context.Context, word, key string) error {
	script := fmt.Sprintf(`cd %s; echo "plain $(grep -rla -e %s . | wc -l)"; echo "encrypted $(grep -rla -e k8s:enc:secretbox:v1:%s: . | wc -l)"
sed -n 's/.*- name: /key /p' %s; stat -c 'mode %%a' %s`, config.EtcdDataDir, word, key, config.EncryptionConfigFile, config.EncryptionConfigFile)
	return f.onMasters(ctx, script, func(out string) error {
		got := strings.Split(strings.TrimSpace(out), "\n")
		if len(got) != 4 || got[0] != "plain 0" || got[1] == "encrypted 0" || got[2] != "key "+key || got[3] != "mode 600" {
			return fmt.Errorf("%q", got)
		}
		return nil
	})
}

func (f *Flow) requestsAreLogged(ctx context.Context, word string) error {
	script := fmt.Sprintf(`stat -c %%a %s; stat -c %%a %s; cat %s`, filepath.Dir(config.AuditLogFile), config.AuditLogFile, config.AuditLogFile)
	logged := false
	err := f.onMasters(ctx, script, func(out string) error {
		modes, events, _ := strings.Cut(out, "{")
		if modes != "700\n600\n" {
			return fmt.Errorf("the modes are %q", modes)
		}
		if strings.Contains(events, word) {
			return errors.New("the log holds what is in a Secret")
		}
		logged = logged || strings.Contains(events, `"verb":"create"`) && strings.Contains(events, `"name":"hushed"`)
		return nil
	})
	if err == nil && !logged {
		err = errors.New("no master logged who made the Secret")
	}
	return err
}

// refusesUnsigned plans with a key that signed nothing yet, and leaves it configured.
func (f *Flow) refusesUnsigned(ctx context.Context, key signingKey) error {
	// A copy, so that no signature is left beside the one that all tests use.
	dir, err := filepath.Abs(filepath.Join(f.Workspace.Dir, "..", "signed"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	unsigned := filepath.Join(dir, filepath.Base(f.tools.Bundle))
	if err := os.Link(f.tools.Bundle, unsigned); err != nil {
		data, readErr := os.ReadFile(f.tools.Bundle)
		if err := errors.Join(readErr, os.WriteFile(unsigned, data, 0o600)); err != nil {
			return err
		}
	}
	f.tools.Bundle, f.Workspace.tools.Bundle = unsigned, unsigned
	file := filepath.Join(f.Workspace.Dir, "main.tf")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := strings.Replace(string(data), "  bundle  = var.bundle\n", "  bundle  = var.bundle\n  bundle_public_key = \""+key.public+"\"\n", 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	return f.planRefuses(ctx, "is not signed", key.id)
}
