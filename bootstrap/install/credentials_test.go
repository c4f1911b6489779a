package install

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/addr"
	"github.com/gantry-run/gantry/runtime/config"
)

var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func master(lifetime time.Duration) spec.Node {
	return spec.Node{
		ClusterName: "demo", Host: spec.Host{Name: "m1", Address: "192.0.2.1"}, Master: true, CertificateLifetime: lifetime,
		Network: spec.Network{PodCIDRs: addr.MustPrefixes(spec.DefaultPodCIDR), ServiceCIDRs: addr.MustPrefixes(spec.DefaultServiceCIDR), DNSDomain: spec.DefaultDNSDomain},
	}
}

func authorities(t *testing.T) Authorities {
	t.Helper()
	a, err := NewAuthorities("demo", today)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// credentials are the files of a node that had these, by path.
func credentials(t *testing.T, n spec.Node, a Authorities, had map[string][]byte, now time.Time) map[string][]byte {
	t.Helper()
	files, err := Credentials(n, a, had, now, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		mode := fs.FileMode(0o600)
		if f.Path == config.DNSCert.CertFile() { // its group is who serves cluster DNS
			mode = 0o640
		}
		if f.Mode != mode && strings.Contains(string(f.Data), "PRIVATE KEY") {
			t.Errorf("%s has mode %o", f.Path, f.Mode)
		}
		out[f.Path] = f.Data
	}
	return out
}

// What the runtime renews is what bootstrap issues.
func TestTheLeavesOfANodeAreThoseThatItRenews(t *testing.T) {
	for _, m := range []bool{false, true} {
		n := master(0)
		n.Master = m
		var got []config.Credential
		for _, l := range leaves(n, Authorities{}) {
			got = append(got, l.credential)
		}
		want := config.WorkerLeaves()
		if m {
			want = append(want, config.MasterLeaves()...)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("of a master %t: %v, and renewed are %v", m, got, want)
		}
	}
}

// A node's name is in its certificates, so no name of a certificate may be a node's.
func TestNoNodeHasANameOfTheControlPlane(t *testing.T) {
	reserved := spec.ReservedNames()
	for _, l := range leaves(master(0), Authorities{}) {
		for _, name := range append(slices.Clone(l.request.DNSNames), l.request.CommonName) {
			if name == "m1" || strings.ContainsAny(name, ".:") { // its own, or no name of a host
				continue
			}
			if reserved[name] == "" {
				t.Errorf("%s is for %q, which a node may be called", l.credential, name)
			}
		}
	}
}

func TestCertificatesAreKeptUntilTheyDoNotFit(t *testing.T) {
	a := authorities(t)
	first := credentials(t, master(0), a, nil, today)
	for what, tc := range map[string]struct {
		n    spec.Node
		now  time.Time
		kept bool
	}{
		"the next day":               {master(0), today.Add(24 * time.Hour), true},
		"when half is left":          {master(0), today.Add(pki.LeafLifetime / 2), true},
		"when a tenth is left":       {master(0), today.Add(pki.LeafLifetime * 9 / 10), false},
		"with a shorter lifetime":    {master(24 * time.Hour), today, false},
		"with its lifetime, spelled": {master(pki.LeafLifetime), today, true},
	} {
		second := credentials(t, tc.n, a, first, tc.now)
		for _, c := range config.MasterLeaves() {
			if kept := string(first[c.CertFile()]) == string(second[c.CertFile()]); kept != tc.kept {
				t.Errorf("%s: %s is kept: %t", what, c, kept)
			}
		}
	}
}

func TestWhatEndsSoonIsTold(t *testing.T) {
	a := authorities(t)
	n := master(24 * time.Hour)
	worker := n
	worker.Master = false
	files := credentials(t, n, a, nil, today)
	for what, tc := range map[string]struct {
		n    spec.Node
		now  time.Time
		want int
		says string
	}{
		"nothing":                     {n, today.Add(19 * time.Hour), 0, ""},
		"what was not renewed":        {n, today.Add(21 * time.Hour), 12, "Certificate kubelet of m1 ends on 2026-03-02T12:00:00Z, and its server did not renew it: journalctl -u gantry-kubelet.service"},
		"of a worker":                 {worker, today.Add(21 * time.Hour), 3, "Certificate dns of m1"},
		"the authorities too":         {n, today.Add(pki.CALifetime - 364*24*time.Hour), 15, "The authority etcd-ca of cluster demo ends on 2036-02-27T12:00:00Z"},
		"the authorities, not yet":    {n, today.Add(pki.CALifetime - 366*24*time.Hour), 12, ""},
		"of a worker, authorities no": {worker, today.Add(pki.CALifetime - time.Hour), 3, ""},
	} {
		got := Ending(tc.n, files, tc.now)
		if len(got) != tc.want || !strings.Contains(strings.Join(got, "\n"), tc.says) {
			t.Errorf("%s: %d: %q", what, len(got), got)
		}
	}
}
