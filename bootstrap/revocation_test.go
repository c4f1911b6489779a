package bootstrap

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/bootstrap/host"
	"github.com/gantry-run/gantry/bootstrap/nodes"
	"github.com/gantry-run/gantry/bootstrap/pki"
	"github.com/gantry-run/gantry/bootstrap/spec"
	"github.com/gantry-run/gantry/runtime/config"
)

// begins is when a node's certificate on a host begins.
func (w *world) begins(t *testing.T, name string, c config.Credential) time.Time {
	t.Helper()
	block, _ := pem.Decode([]byte(w.hosts[name].File(c.CertFile())))
	if block == nil {
		t.Fatalf("%s has no certificate %s", name, c)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert.NotBefore
}

// A worker that died is let go of: what it holds is refused, and only what it is
// given when it is added again is not.
func TestTheCertificatesOfADeadWorkerAreRefused(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1")
	pool := w.pool("w1")
	c := grown(t, w, pool)
	w.hosts["w1"].PowerCut()
	node := w.node(t, "w1")
	node.Status.Conditions[0].Status = corev1.ConditionUnknown
	if _, err := w.api.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	maps := w.api.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	ended, kept := w.engine.Now().Add(-pki.LeafLifetime-48*time.Hour).Format(time.RFC3339), w.engine.Now().Add(-pki.LeafLifetime/2).Format(time.RFC3339)
	if _, err := maps.Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: config.ReleasedNodesConfigMap, Namespace: metav1.NamespaceSystem}, Data: map[string]string{"old": ended, "older": kept},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), spec.Pool{Name: pool.Name}, PoolChange{Leaving: w.spec("w1")})
	succeed(t, r, err)
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "its certificates are refused: it stays outside") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	w.noNode(t, "w1")
	gone, err := nodes.ReadRevoked(t.Context(), w.api)
	if err != nil {
		t.Fatal(err)
	}
	if _, pruned := gone["old"]; pruned || len(gone) != 2 || gone["older"].Format(time.RFC3339) != kept {
		t.Errorf("released are %v", gone)
	}
	held := map[config.Credential]string{}
	for _, cert := range []config.Credential{config.KubeletCert, config.ProxyCert, config.DNSCert} {
		held[cert] = w.hosts["w1"].File(cert.CertFile())
		if begins := w.begins(t, "w1", cert); begins.After(gone["w1"]) {
			t.Errorf("%s begins at %s and is refused until %s", cert, begins, gone["w1"])
		}
	}

	w.hosts["w1"].Reconnect()
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)
	for cert, old := range held {
		if begins := w.begins(t, "w1", cert); !begins.After(gone["w1"]) || w.hosts["w1"].File(cert.CertFile()) == old {
			t.Errorf("its new %s begins at %s and is refused until %s", cert, begins, gone["w1"])
		}
	}
	w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), pool))
	before := w.hosts["w1"].File(config.KubeletCert.CertFile())
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)
	if w.hosts["w1"].File(config.KubeletCert.CertFile()) != before {
		t.Error("a second apply issued another certificate")
	}
	if again, err := nodes.ReadRevoked(t.Context(), w.api); err != nil || !again["w1"].Equal(gone["w1"]) {
		t.Errorf("the entry, which bars another server of that name, is %v: %v", again["w1"], err)
	}

	// A release whose Node was not deleted, as the run was cut: it is seen and mended.
	if err := nodes.Revoke(t.Context(), w.api, "w1", w.engine.Now()); err != nil {
		t.Fatal(err)
	}
	if s := w.engine.ObservePool(t.Context(), c.Connection(), pool).Hosts["w1"]; s.State != Drifted || !strings.Contains(s.Message, "are refused") {
		t.Errorf("with refused certificates it is %s: %s", s.State, s.Message)
	}
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), pool, PoolChange{Touch: []string{"w1"}})
	succeed(t, r, err)
	w.ready(t, w.engine.ObservePool(t.Context(), c.Connection(), pool))
}

// A server that is reached is wiped; who has read its certificates there is refused all
// the same. The name goes to another server in the same apply.
func TestTheCertificatesOfAWorkerThatLeavesAreRefused(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "w1", "w1@b")
	pool := w.pool("w1")
	c := grown(t, w, pool)
	begins := w.begins(t, "w1", config.KubeletCert)
	moved := w.spec("w1@b")
	r, err := w.engine.ApplyPool(t.Context(), c.Connection(), spec.Pool{Name: pool.Name, Hosts: moved}, PoolChange{Touch: []string{"w1"}, Leaving: pool.Hosts})
	succeed(t, r, err)
	gone, err := nodes.ReadRevoked(t.Context(), w.api)
	if err != nil || gone["w1"].Before(begins) {
		t.Errorf("refused are %v, and it begins at %s: %v", gone, begins, err)
	}
	if begins := w.begins(t, "w1@b", config.KubeletCert); !begins.After(gone["w1"]) {
		t.Errorf("the other server's begins at %s, and until %s all are refused", begins, gone["w1"])
	}
	if w.hosts["w1"].File(config.KubeletCert.CertFile()) != "" {
		t.Error("the server was not wiped")
	}
	r, err = w.engine.ApplyPool(t.Context(), c.Connection(), spec.Pool{Name: pool.Name}, PoolChange{Leaving: moved})
	succeed(t, r, err)
	if again, err := nodes.ReadRevoked(t.Context(), w.api); err != nil || !again["w1"].After(gone["w1"]) {
		t.Errorf("once more: %v, after %v: %v", again, gone, err)
	}
}

func TestTheCertificatesOfAMasterThatLeavesAreRefused(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1", "m2", "m3")
	c := w.createAll(t, "m1", "m2", "m3")
	begins := w.begins(t, "m3", config.KubeletCert)
	r, err := w.engine.UpdateCluster(t.Context(), w.with(c, "m1", "m2"), ClusterChange{Touch: []string{"m1", "m2"}, Leaving: w.spec("m3")})
	succeed(t, r, err)
	if gone, err := nodes.ReadRevoked(t.Context(), w.api); err != nil || len(gone) != 1 || gone["m3"].Before(begins) {
		t.Errorf("refused are %v, and it begins at %s: %v", gone, begins, err)
	}
}

// What a server has renewed is kept by the next apply, and nothing restarts.
func TestARenewedCertificateIsNoDrift(t *testing.T) {
	w := newWorld(t, smallBundle(t), "m1")
	c := w.create(t)
	w.ready(t, w.engine.ObserveCluster(t.Context(), c))
	m := w.hosts["m1"]
	ca, err := pki.LoadAuthority(pki.Pair{Cert: []byte(m.File(config.CA.CertFile())), Key: []byte(m.File(config.CA.KeyFile()))})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(m.File(config.KubeletCert.CertFile())))
	old, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	later := w.engine.Now().Add(time.Hour)
	w.engine.Now = func() time.Time { return later }
	renewed, err := ca.Issue(pki.Request{CommonName: old.Subject.CommonName, Organizations: old.Subject.Organization, DNSNames: old.DNSNames, IPs: old.IPAddresses}, later)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.WriteFiles(t.Context(), host.File{Path: config.KubeletCert.CertFile(), Data: renewed.Bundle(), Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	w.ready(t, w.engine.ObserveCluster(t.Context(), c))
	w.engine.Now = func() time.Time { return old.NotAfter.Add(-pki.LeafLifetime / 7) }
	report := w.engine.ObserveCluster(t.Context(), c)
	if s := report.Hosts["m1"]; s.State != Drifted || len(report.Ending) != len(config.WorkerLeaves())+len(config.MasterLeaves()) {
		t.Errorf("once all should have been renewed: %+v, told of %q", s, report.Ending)
	}
	r, err := w.engine.UpdateCluster(t.Context(), c, ClusterChange{Touch: []string{"m1"}})
	succeed(t, r, err)
	if report := w.engine.ObserveCluster(t.Context(), c); report.Hosts["m1"].State != Ready || len(report.Ending) > 0 {
		t.Errorf("after the apply: %+v", report)
	}
}
