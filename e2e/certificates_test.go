//go:build lab

package e2e

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/gantry-run/gantry/runtime/config"
)

// leafLifetime is that of the test's certificates: the least.
const leafLifetime = 10 * time.Minute

// TestCertificates has all leaf certificates end while the cluster is used, and nobody
// notices.
func TestCertificates(t *testing.T) {
	f := newFlow(t, "quickstart", "e2e-certs", []string{"master-1"}, []string{"worker-1"}, nil)
	step := f.stepper(t)
	var first map[string]*x509.Certificate
	var starts map[string]string
	var pods []Pod
	var quiet, sessions func() error

	step("apply, with certificates of ten minutes", func(ctx context.Context) error {
		if err := f.override("certificates", fmt.Sprintf("resource \"gantry_cluster\" \"this\" {\n  certificate_lifetime = %q\n}\n", leafLifetime)); err != nil {
			return err
		}
		return f.Apply(ctx)
	})
	step("deploy the application", func(ctx context.Context) error { return f.Cluster.Deploy(ctx, f.Workers...) })
	step("see what is there, and open sessions", func(ctx context.Context) (err error) {
		if first, err = f.leaves(ctx); err != nil {
			return err
		}
		for name, c := range first {
			if left := time.Until(c.NotAfter); left > leafLifetime {
				return fmt.Errorf("%s ends in %s", name, left)
			}
		}
		if starts, err = f.starts(ctx); err != nil {
			return err
		}
		if pods, err = f.Cluster.Pods(ctx); err != nil {
			return err
		}
		sessions, err = f.sessions(ctx, pods[0].Name)
		quiet = f.asking(ctx)
		return err
	})
	step("every certificate is another one before the first has ended", func(ctx context.Context) error {
		ends := slices.MinFunc(slices.Collect(maps.Values(first)), func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
		for {
			now, err := f.leaves(ctx)
			if err != nil {
				return err
			}
			old := slices.DeleteFunc(slices.Sorted(maps.Keys(first)), func(name string) bool { return now[name].SerialNumber.Cmp(first[name].SerialNumber) != 0 })
			if err := answered(f.NodesReady)(ctx); err != nil {
				return err
			}
			if len(old) == 0 {
				return f.sameContent(first, now)
			}
			if time.Now().After(ends) {
				return fmt.Errorf("not renewed were %q", old)
			}
			if err := sleep(ctx, 5*time.Second); err != nil {
				return err
			}
		}
	})
	step("all of the first have ended", func(ctx context.Context) error {
		last := slices.MaxFunc(slices.Collect(maps.Values(first)), func(a, b *x509.Certificate) int { return a.NotAfter.Compare(b.NotAfter) }).NotAfter
		for time.Now().Before(last.Add(15 * time.Second)) {
			if err := errors.Join(answered(f.NodesReady)(ctx), sleep(ctx, 5*time.Second)); err != nil {
				return err
			}
		}
		return nil
	})
	step("every question was answered, and no session was cut", func(context.Context) error { return errors.Join(quiet(), sessions()) })
	step("no process and no pod was restarted", func(ctx context.Context) error {
		after, err := f.starts(ctx)
		if err != nil {
			return err
		}
		if units := restarted(starts, after); len(units) > 0 {
			return fmt.Errorf("restarted were %q", units)
		}
		again, err := f.Cluster.Pods(ctx)
		if err == nil && !slices.Equal(pods, again) {
			err = fmt.Errorf("pods changed:\nbefore %v\nafter  %v", pods, again)
		}
		return err
	})
	step("every process is healthy", soon(f.healthy))
	step("exec and logs work", f.logsAndExec)
	step("the status tells of all of them", func(ctx context.Context) error {
		h, err := f.Lab.Host(f.Masters[0])
		if err != nil {
			return err
		}
		s, err := statusOn(ctx, h)
		if err != nil {
			return err
		}
		for _, n := range s.Nodes {
			want := len(config.WorkerLeaves())
			if n.Name == f.Masters[0] {
				want += len(config.MasterLeaves())
			}
			if len(n.Certificates) != want || time.Until(n.Certificates[0].Ends) > leafLifetime || time.Until(n.Certificates[0].Ends) < leafLifetime/6 {
				return fmt.Errorf("of %s it tells %+v", n.Name, n.Certificates)
			}
		}
		return nil
	})
	step("nothing is left to plan", f.Unchanged)
	step("a worker leaves, and its certificates are refused", f.leavesRevoked)
	step("destroy leaves every server clean", f.Down)
}

// leaves are the leaf certificates of all nodes, by node and name.
func (f *Flow) leaves(ctx context.Context) (map[string]*x509.Certificate, error) {
	out := map[string]*x509.Certificate{}
	for _, n := range f.Nodes() {
		h, err := f.Lab.Host(n)
		if err != nil {
			return nil, err
		}
		credentials := config.WorkerLeaves()
		if slices.Contains(f.Masters, n) {
			credentials = append(credentials, config.MasterLeaves()...)
		}
		for _, c := range credentials {
			data, err := h.Run(ctx, "cat "+c.CertFile())
			if err != nil {
				return nil, err
			}
			block, _ := pem.Decode(data)
			if block == nil {
				return nil, fmt.Errorf("%s on %s holds no certificate", c.CertFile(), n)
			}
			if out[n+" "+string(c)], err = x509.ParseCertificate(block.Bytes); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// sameContent sees that certificates say what those before them did.
func (f *Flow) sameContent(before, after map[string]*x509.Certificate) error {
	for name, old := range before {
		c := after[name]
		if c.Subject.String() != old.Subject.String() || !slices.Equal(c.DNSNames, old.DNSNames) || fmt.Sprint(c.IPAddresses, c.ExtKeyUsage) != fmt.Sprint(old.IPAddresses, old.ExtKeyUsage) {
			return fmt.Errorf("%s is of %s for %q %v, and was of %s for %q %v", name, c.Subject, c.DNSNames, c.IPAddresses, old.Subject, old.DNSNames, old.IPAddresses)
		}
	}
	return nil
}

// sessions opens an exec, a followed log and a watch. The function that it returns
// ends them, and says which of them were cut before.
func (f *Flow) sessions(ctx context.Context, pod string) (end func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	open := map[string]*exec.Cmd{}
	ended := map[string]chan error{}
	var in io.WriteCloser
	var echo *bufio.Reader
	for name, args := range map[string][]string{
		"exec":  {"exec", "-i", pod, "--", "/hello", "echo"},
		"logs":  {"logs", "-f", pod},
		"watch": {"get", "pods", "--watch"},
	} {
		argv := append(slices.Clone(f.tools.Kubectl), append([]string{"--kubeconfig", f.Cluster.Kubeconfig}, args...)...)
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		if name == "exec" {
			if in, err = cmd.StdinPipe(); err != nil {
				break
			}
			var out io.Reader
			if out, err = cmd.StdoutPipe(); err != nil {
				break
			}
			echo = bufio.NewReader(out)
		}
		if err = cmd.Start(); err != nil {
			break
		}
		open[name], ended[name] = cmd, make(chan error, 1)
		go func() { ended[name] <- cmd.Wait() }()
	}
	if err == nil {
		err = answers(in, echo)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return func() error {
		defer cancel()
		for name, e := range ended {
			select {
			case err := <-e:
				return fmt.Errorf("the session %s was cut: %w", name, err)
			default:
			}
		}
		return answers(in, echo)
	}, nil
}

// answers writes a line to a session that echoes, and reads it.
func answers(in io.Writer, echo *bufio.Reader) error {
	if _, err := io.WriteString(in, "still there?\n"); err != nil {
		return fmt.Errorf("write to the session: %w", err)
	}
	line, err := echo.ReadString('\n')
	if err == nil && !strings.Contains(line, "still there?") {
		err = fmt.Errorf("the session says %q", line)
	}
	return err
}

// leavesRevoked takes the worker out while it is reached: what somebody has read on it
// is good for nothing.
func (f *Flow) leavesRevoked(ctx context.Context) error {
	worker := f.Workers[0]
	h, err := f.Lab.Host(worker)
	if err != nil {
		return err
	}
	stolen, err := h.Run(ctx, "cat "+config.KubeletCert.CertFile())
	if err != nil {
		return err
	}
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, nil); err != nil {
		return err
	}
	f.Workers = nil
	if err := f.Workspace.Apply(ctx); err != nil {
		return err
	}
	thief := *f.Cluster
	thief.Kubeconfig = f.Workspace.Dir + "/stolen-kubeconfig"
	access, err := clientcmd.LoadFromFile(f.Cluster.Kubeconfig)
	if err != nil {
		return err
	}
	for _, user := range access.AuthInfos {
		user.ClientCertificateData, user.ClientKeyData = stolen, stolen
	}
	if err := clientcmd.WriteToFile(*access, thief.Kubeconfig); err != nil {
		return err
	}
	out, err := thief.Kubectl(ctx, "get", "nodes")
	if err == nil {
		return fmt.Errorf("with the certificate of a worker that left: %s", out)
	}
	return says(err.Error(), "node "+worker+" was taken out of the cluster")
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
