//go:build lab

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/runtime/config"
)

// TestMasters is the life of a cluster with three masters: one is lost and comes
// back, one is taken out and put in again, one is lost for good and replaced.
func TestMasters(t *testing.T) {
	f := newFlow(t, "ha", "e2e-ha", []string{"master-1", "master-2", "master-3"}, []string{"worker-1"}, []string{"master-4"})
	step := f.stepper(t)
	var lost string

	step("apply three masters and a worker", f.Apply)
	step("each master votes, serves and is in the list", soon(f.mastersServe))
	step("nothing is left to plan", f.Unchanged)
	step("the leading master loses power", func(ctx context.Context) (err error) {
		lost, err = f.cutLeader(ctx)
		return err
	})
	step("the API goes on: an application comes up", func(ctx context.Context) error { return f.Cluster.Deploy(ctx, f.Workers...) })
	step("the lost master leaves the list", func(ctx context.Context) error {
		return Eventually(ctx, 15*time.Second, func(ctx context.Context) error { return f.listed(ctx, without(f.Masters, lost)) })
	})
	step("the others lead in its place", func(ctx context.Context) error { return f.ledBy(ctx, without(f.Masters, lost)) })
	step("gantry cluster status tells so, also without any API", func(ctx context.Context) error { return f.statusTells(ctx, lost) })
	step("its power comes back, and it serves again", func(ctx context.Context) error {
		h, err := f.Lab.Host(lost)
		if err != nil {
			return err
		}
		if err := h.Boot(ctx); err != nil {
			return err
		}
		return Eventually(ctx, 40*time.Second, f.mastersServe)
	})
	step("nothing is left to plan", f.Unchanged)
	step("the plan to take a master out tells of the quorum", func(ctx context.Context) error {
		f.Masters = without(f.Masters, "master-1")
		return f.quorumIsTold(ctx)
	})
	step("it is cut at each kind of step while it leaves", func(ctx context.Context) error { return f.cutLeavingMaster(ctx, t) })
	step("the next apply has taken it out", func(ctx context.Context) error {
		if err := f.Apply(ctx); err != nil {
			return err
		}
		h, err := f.Lab.Host("master-1")
		if err != nil {
			return err
		}
		if err := leftovers(ctx, h); err != nil {
			return err
		}
		return soon(f.mastersServe)(ctx)
	})
	step("nothing is left to plan", f.Unchanged)
	step("put in again, it is cut at each kind of step", func(ctx context.Context) error {
		f.Masters = append(f.Masters, "master-1")
		return f.cutJoiningMaster(ctx, t)
	})
	step("the next apply has put it in", func(ctx context.Context) error {
		if err := f.Apply(ctx); err != nil {
			return err
		}
		return soon(f.mastersServe)(ctx)
	})
	step("all masters cannot go at once", func(ctx context.Context) error { return f.refusesToLoseAll(ctx, "master-4") })
	step("a master is lost for good, and replaced by one apply", func(ctx context.Context) error {
		h, err := f.Lab.Host("master-2")
		if err != nil {
			return err
		}
		if err := h.PowerCut(ctx); err != nil {
			return err
		}
		f.Masters = append(without(f.Masters, "master-2"), "master-4")
		if err := f.Apply(ctx); err != nil {
			return err
		}
		return soon(f.mastersServe)(ctx)
	})
	step("nothing is left to plan", f.Unchanged)
	step("the application answers", soon(func(ctx context.Context) error { return f.AppReady(ctx, 4) }))
	step("destroy leaves every server clean", f.Down)
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
}

// clusterName is the default of the examples.
const clusterName = "quickstart"

// mastersServe checks that each master votes in the store, is in the list of API
// servers and answers, and that all nodes are Ready.
func (f *Flow) mastersServe(ctx context.Context) error {
	if err := f.voters(ctx); err != nil {
		return err
	}
	if err := f.listed(ctx, f.Masters); err != nil {
		return err
	}
	current := f.Cluster
	defer func() { f.Cluster = current }()
	for _, m := range f.Masters {
		f.Cluster = current.Via(clusterName, m)
		if err := f.NodesReady(ctx); err != nil {
			return fmt.Errorf("through master %s: %w", m, err)
		}
	}
	return nil
}

// listed checks the addresses in the EndpointSlice of the kubernetes Service.
func (f *Flow) listed(ctx context.Context, masters []string) error {
	out, err := f.Cluster.Kubectl(ctx, "get", "endpointslice", "kubernetes", "-o", "jsonpath={.endpoints[*].addresses[0]}")
	if err != nil {
		return err
	}
	var want []string
	for _, m := range masters {
		h, err := f.Lab.Host(m)
		if err != nil {
			return err
		}
		want = append(want, h.Address)
	}
	got := strings.Fields(out)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the kubernetes Service has %v, want %v", got, want)
	}
	return nil
}

// voters asks a master's etcd, as a peer does, who is a member, and checks that
// the masters are, with a vote each.
func (f *Flow) voters(ctx context.Context) error {
	h, err := f.Lab.Host(f.Masters[0])
	if err != nil {
		return err
	}
	read := func(path string) []byte {
		out, readErr := h.Run(ctx, "cat "+path)
		if err == nil {
			err = readErr
		}
		return out
	}
	pair, pairErr := tls.X509KeyPair(read(config.EtcdPeerCert.CertFile()), read(config.EtcdPeerCert.KeyFile()))
	ca := x509.NewCertPool()
	ca.AppendCertsFromPEM(read(config.EtcdCA.CertFile()))
	if err != nil {
		return err
	}
	if pairErr != nil {
		return pairErr
	}
	// A peer's certificate is good from its own address only.
	client := &http.Client{Timeout: patience * 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: ca},
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dialFrom(ctx, f.Lab, h.Name, address)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s:%d/members", h.Address, config.EtcdPeerPort), nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var members []struct {
		Name      string `json:"name"`
		IsLearner bool   `json:"isLearner"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&members); err != nil {
		return err
	}
	var got []string
	for _, m := range members {
		if !m.IsLearner {
			got = append(got, m.Name)
		}
	}
	want := slices.Sorted(slices.Values(f.Masters))
	if slices.Sort(got); !slices.Equal(got, want) || len(members) != len(want) {
		return fmt.Errorf("voters in the store are %v of %d members, want %v", got, len(members), want)
	}
	return nil
}

// quorumIsTold plans, and looks for what becomes of the store.
func (f *Flow) quorumIsTold(ctx context.Context) error {
	if err := f.Workspace.SetHosts(f.Lab, f.Masters, f.Workers); err != nil {
		return err
	}
	out, err := f.Workspace.Terraform(ctx, "plan", "-input=false", "-no-color")
	if err != nil {
		return err
	}
	return says(out, "Voters in the store now: 3 (master-1, master-2, master-3); afterwards: 2 (master-2, master-3), which bear the loss of 0.",
		"All answer; as they are they bear the loss of 1.", "master-1 leaves; ")
}

// leaders returns who holds each of the leader leases.
func (f *Flow) leaders(ctx context.Context) ([]string, error) {
	out, err := f.Cluster.Kubectl(ctx, "get", "leases", "-n", "kube-system", "-o", "jsonpath={.items[*].spec.holderIdentity}")
	return strings.Fields(out), err
}

// cutLeader takes the power of the master that leads, and goes on through another.
func (f *Flow) cutLeader(ctx context.Context) (string, error) {
	var leaders []string
	err := soon(func(ctx context.Context) (err error) {
		if leaders, err = f.leaders(ctx); err == nil && len(leaders) < 2 {
			err = fmt.Errorf("only %v lead", leaders)
		}
		return err
	})(ctx)
	if err != nil {
		return "", err
	}
	h, err := f.Lab.Host(leaders[0])
	if err != nil {
		return "", err
	}
	f.Cluster = f.Cluster.Via(clusterName, without(f.Masters, h.Name)[0])
	return h.Name, h.PowerCut(ctx)
}

// ledBy waits until all leases are held by some of the masters, with the workers Ready.
func (f *Flow) ledBy(ctx context.Context, masters []string) error {
	return Eventually(ctx, 30*time.Second, func(ctx context.Context) error {
		out, err := f.Cluster.Kubectl(ctx, "get", "nodes", "-l", "!node-role.kubernetes.io/control-plane", "-o",
			`jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`)
		if err != nil {
			return err
		}
		for _, w := range f.Workers {
			if !slices.Contains(strings.Fields(out), w+"=True") {
				return fmt.Errorf("worker %s does not stay Ready: %s", w, out)
			}
		}
		leaders, err := f.leaders(ctx)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(leaders, func(l string) bool { return !slices.Contains(masters, l) }); i >= 0 || len(leaders) < 2 {
			return fmt.Errorf("leaders are %v", leaders)
		}
		return nil
	})
}

// refusesToLoseAll plans for another master in the place of all.
func (f *Flow) refusesToLoseAll(ctx context.Context, other string) error {
	if err := f.Workspace.SetHosts(f.Lab, []string{other}, f.Workers); err != nil {
		return err
	}
	changes, err := f.Workspace.Plan(ctx)
	if err == nil || !strings.Contains(err.Error(), "No master would remain") {
		return fmt.Errorf("a plan that leaves no master: %+v, %v", changes, err)
	}
	return nil
}
