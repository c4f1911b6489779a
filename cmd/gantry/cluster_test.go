package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gantry-run/gantry/runtime/config"
	"github.com/gantry-run/gantry/runtime/etcd"
)

func TestAStatusIsPrintedWithItsProblems(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	s := clusterStatus{
		Name: "demo", ID: "some-id", From: "m1", Lifetime: metav1.Duration{Duration: config.DefaultCertificateLifetime},
		Masters: []masterStatus{{Address: "192.0.2.1", Version: "v1", CertificateEnds: now.Add(300 * 24 * time.Hour)}, {Address: "192.0.2.2", Problem: "dial: refused\nmore"}},
		Store: []etcd.Member{
			{Name: "m1", Address: "192.0.2.1", Role: etcd.Leader, Version: "3.7", DBBytes: 2_500_000, Revision: 812, Term: 7},
			{Name: "m3", Address: "192.0.2.3", Role: etcd.Learner, Problem: "does not answer"},
		},
		Nodes: []nodeStatus{
			{Name: "w1", Address: "192.0.2.4", Roles: "worker", Version: "v1", Certificates: certificates{{"proxy", now.Add(200 * 24 * time.Hour), ""}, {"dns", now.Add(201 * 24 * time.Hour), ""}}},
			{Name: "w2", Address: "192.0.2.5", Roles: "worker", Version: "v1", CertificateProblem: "dial: refused"},
		},
		Certificates: certificates{{"a.crt", now.Add(3 * 24 * time.Hour), ""}, {"b.crt", now.Add(-time.Hour), ""}, {"c.crt", now.Add(24 * 100 * time.Hour), ""}, {"d.crt", time.Time{}, "d.crt is not PEM"}},
	}
	s.nameMasters(config.EtcdConfig{Name: "m1", Host: "192.0.2.1", InitialCluster: map[string]string{"m2": "https://192.0.2.2:2380"}})
	var out strings.Builder
	if err := s.print(&out, now); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"Cluster demo (some-id), seen from m1", "m1 192.0.2.1 ready v1 2030-10-28 (300 days)", "m2 192.0.2.2 dial: refused", "m1 192.0.2.1 leader 2.5 MB 812 7 3.7 serves",
		"m3 192.0.2.3 learner 0.0 MB 0 0 does not answer", "w1 192.0.2.4 worker v1 Ready proxy 2030-07-20 (200 days)", "w2 192.0.2.5 worker v1 Ready dial: refused", "a.crt 2030-01-04 (SOON: 3 days)", "b.crt 2029-12-31 23:00:00 (ENDED)", "c.crt 2030-04-11 (100 days)", "d.crt d.crt is not PEM",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(text, "more") {
		t.Errorf("a row has more than a line:\n%s", out.String())
	}
	s.NodesProblem = "no API server tells the nodes"
	out.Reset()
	if err := s.print(&out, now); err != nil || !strings.Contains(strings.Join(strings.Fields(out.String()), " "), "NODES no API server tells the nodes") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestWhenACertificateEndsIsSaidByItsLifetime(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for want, tc := range map[string]struct{ lifetime, left time.Duration }{
		"2030-01-01 00:09:00 (9m0s)":          {10 * time.Minute, 9 * time.Minute},
		"2030-01-01 00:01:00 (SOON: 1m0s)":    {10 * time.Minute, time.Minute},
		"2030-03-02 (SOON: 60 days)":          {365 * 24 * time.Hour, 60 * 24 * time.Hour},
		"2030-03-03 (61 days)":                {365 * 24 * time.Hour, 61 * 24 * time.Hour},
		"2029-12-31 23:59:59 (ENDED)":         {365 * 24 * time.Hour, -time.Second},
		"2030-01-02 00:00:00 (SOON: 24h0m0s)": {365 * 24 * time.Hour, 24 * time.Hour},
	} {
		s := clusterStatus{Lifetime: metav1.Duration{Duration: tc.lifetime}}
		if got := s.ends(now.Add(tc.left), now); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestTheEndsOfANodesCertificatesAreFoundAmongItsMetrics(t *testing.T) {
	const name = "gantry_certificate_expiration_timestamp_seconds"
	got, err := parseExpiry(strings.NewReader("# TYPE " + name + " gauge\n" + name + "{certificate=\"proxy\"} 1.893456e+09\nother{certificate=\"a\"} 1\n" + name + "{certificate=\"dns\"} 1.7e+09\n"))
	if err != nil || len(got) != 2 || got[0].File != "dns" || got[1].File != "proxy" || !got[1].Ends.Equal(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseExpiry(strings.NewReader(name + "{certificate=\"dns\"} soon\n")); err == nil {
		t.Error("a number that is none was read")
	}
}

func TestTheStoreIsAskedOnEveryMaster(t *testing.T) {
	got := storeEndpoints(config.EtcdConfig{Host: "192.0.2.1"}, []string{"192.0.2.1:6443", "192.0.2.2:6443"})
	if want := []string{"https://127.0.0.1:2379", "https://192.0.2.2:2379"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestANodeIsSummedUp(t *testing.T) {
	node := func(ready corev1.ConditionStatus, cordoned bool) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"node-role.kubernetes.io/control-plane": ""}}}
		n.Spec.Unschedulable = cordoned
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: "n"}, {Type: corev1.NodeInternalIP, Address: "192.0.2.1"}}
		if ready != "" {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready, Reason: "Why"}}
		}
		return n
	}
	for want, n := range map[string]*corev1.Node{
		"": node(corev1.ConditionTrue, false), "Ready, cordoned": node(corev1.ConditionTrue, true),
		"Ready is Unknown: Why": node(corev1.ConditionUnknown, true), "its kubelet has not reported": node("", false),
	} {
		if s := nodeOf(n); s.Problem != want || s.Roles != "control-plane" || s.Address != "192.0.2.1" {
			t.Errorf("want %q: %+v", want, s)
		}
	}
	if s := nodeOf(&corev1.Node{}); s.Roles != "worker" {
		t.Errorf("a node without a role is %q", s.Roles)
	}
}

func TestTheNextCertificateToEndComesFirst(t *testing.T) {
	dir := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, left := range map[string]time.Duration{"a.crt": 3 * time.Hour, "b.pem": time.Hour} {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(left)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := ownCertificates(dir)
	if len(got) != 2 || got[0].File != "b.pem" || time.Until(got[0].Ends) > time.Hour {
		t.Errorf("%+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "c.crt"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := ownCertificates(dir); len(got) != 3 || !strings.Contains(got[0].Problem, "c.crt is not PEM") || got[1].File != "b.pem" {
		t.Errorf("with one that is damaged: %+v", got)
	}
}
